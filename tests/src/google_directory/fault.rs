//! Answers that are not as they should be.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use futures::{StreamExt, stream};
use serde_json::Value;

use super::answer;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error in Google's form: HTTP status, reason, message.
    Refused(u16, &'static str, &'static str),
    /// The same with `Retry-After`.
    Later(u16, &'static str, &'static str),
    /// The token is not good, and will not be any more.
    Unauthorized,
    /// Any JSON.
    Json(u16, Value),
    /// Any body: HTTP status, media type, bytes.
    Body(u16, &'static str, Vec<u8>),
    /// A redirect to this place.
    Redirect(String),
    /// A body in this encoding.
    Encoded(&'static str, Vec<u8>),
    /// A body that ends after these bytes although more was announced.
    CutShort(Vec<u8>),
    /// A body of which one byte comes now and then.
    Drip(Vec<u8>, Duration),
    /// A body without an end.
    Endless,
    /// The right answer, damaged on the way: what is made of the body.
    Damaged(Damage),
}

/// Makes something else of the right answer.
#[derive(Clone)]
pub struct Damage(Arc<Damaging>);

type Damaging = dyn Fn(&Value) -> Vec<u8> + Send + Sync;

impl Damage {
    /// Damage that is done so.
    pub fn new(damage: impl Fn(&Value) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Arc::new(damage))
    }

    pub(super) fn of(&self, body: &Value) -> Vec<u8> {
        (self.0)(body)
    }
}

impl std::fmt::Debug for Damage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Damage")
    }
}

pub(super) fn respond(fault: Fault) -> Response {
    match fault {
        Fault::Refused(status, reason, message) => {
            let (status, body) = answer::error(status, reason, message);
            json(status, &body)
        }
        Fault::Later(status, reason, after) => {
            let (status, body) = answer::error(status, reason, "Slow down.");
            built(status, &[("content-type", "application/json"), ("retry-after", after)], body.to_string().into())
        }
        Fault::Unauthorized => {
            let (status, body) = answer::error(401, "authError", "Invalid Credentials");
            json(status, &body)
        }
        Fault::Json(status, body) => json(status, &body),
        // Whoever answers has made a body of it.
        Fault::Damaged(_) => json(500, &Value::Null),
        Fault::Body(status, media, body) => built(status, &[("content-type", media)], body.into()),
        Fault::Redirect(to) => built(302, &[("location", &to)], Body::empty()),
        Fault::Encoded(encoding, body) => {
            built(200, &[("content-type", "application/json"), ("content-encoding", encoding)], body.into())
        }
        Fault::CutShort(body) => {
            let broken = stream::iter([Ok(Bytes::from(body)), Err(anyhow!("the connection is closed here"))]);
            // What was written so far has to leave before the connection breaks.
            let broken = broken.then(|part| async {
                if part.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                part
            });
            built(200, &[("content-type", "application/json")], Body::from_stream(broken))
        }
        Fault::Drip(body, pause) => {
            let drops = stream::iter(body).then(move |byte| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, anyhow::Error>(Bytes::from(vec![byte]))
            });
            built(200, &[("content-type", "application/json")], Body::from_stream(drops))
        }
        Fault::Endless => {
            let chunk = Bytes::from(vec![b' '; 1 << 20]);
            let endless = stream::repeat_with(move || Ok::<_, anyhow::Error>(chunk.clone()));
            built(200, &[("content-type", "application/json")], Body::from_stream(endless))
        }
    }
}

pub(super) fn json(status: u16, body: &Value) -> Response {
    built(status, &[("content-type", "application/json; charset=UTF-8")], body.to_string().into())
}

fn built(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
    let builder =
        headers.iter().fold(Response::builder().status(status), |builder, (name, value)| builder.header(*name, *value));
    builder.body(body).unwrap_or_else(|_| {
        let mut broken = Response::default();
        *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
