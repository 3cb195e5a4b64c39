//! What becomes of a resource that this version of the operator cannot decode, because it was stored under another
//! schema: it says so about itself, and nothing else of it is touched.

use super::Context;
use crate::cluster::{FIELD_MANAGER, call, found};
use crate::reconcile::ReconcileError;
use directory_sync_api::DirectorySync;
use directory_sync_api::conditions::{Cause, Health, Held, Observation, Outcome, conditions};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, Resource, ResourceExt};
use serde::Deserialize;

const REASON: &str = "InvalidResource";

/// Says in the conditions, in an event and in the metrics that the resource is left alone, and why.
pub(super) async fn report(
    context: &Context,
    namespace: &str,
    name: &str,
    invalid: &InvalidObject,
) -> Result<(), ReconcileError> {
    let kind = ApiResource::erase::<DirectorySync>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &kind);
    let Some(object) = found(call("read the DirectorySync", api.get(name)).await)? else { return Ok(()) };
    let before = object
        .data
        .pointer("/status/conditions")
        .and_then(|conditions| Vec::<Condition>::deserialize(conditions).ok())
        .unwrap_or_default();
    let message = format!(
        "The stored resource does not fit the kind that this version of the operator knows ({}); apply it again as \
         `kubectl explain directorysync` describes it, or run the version that knows it.",
        invalid.error
    );
    let observation = Observation {
        outcome: Outcome::Stalled(Cause::new(REASON, message)),
        source: Health::Unchanged,
        target: Health::Unchanged,
        held: Held::Unchanged,
    };
    let generation = object.metadata.generation.unwrap_or_default();
    let after = conditions(&observation, &before, generation, &Time(Timestamp::now()));
    context.metrics.conditions(namespace, name, &after);
    if after == before {
        return Ok(());
    }
    context.metrics.look_failed(REASON);
    tracing::error!(namespace, name, reason = REASON, error = %invalid.error, "the resource cannot be decoded");
    // A merge, not an apply: everything else that the status says is to stay.
    let patch = Patch::Merge(serde_json::json!({
        "status": { "observedGeneration": generation, "conditions": after },
    }));
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    if let Err(error) = call("write the status", api.patch_status(&object.name_any(), &parameters, &patch)).await {
        // The API server may find the whole resource invalid and refuse its status too; then the event has to do.
        tracing::warn!(namespace, name, %error, "the status of a resource that cannot be decoded was not written");
    }
    context.events.transitions(&object.object_ref(&kind), &before, &after).await;
    Ok(())
}
