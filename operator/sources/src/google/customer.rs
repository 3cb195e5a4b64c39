//! Whose directory it is: all people of one read, and of the look-ups after it, belong to one customer.

use super::directory::ID_CAP;
use super::error::GoogleError;
use std::sync::{Mutex, PoisonError};

/// The customer that is configured or was seen first.
#[derive(Debug)]
pub(super) struct Customer {
    url: String,
    known: Mutex<Option<String>>,
}

impl Customer {
    /// `configured` is an immutable id, or `my_customer` for whichever it turns out to be.
    pub(super) fn new(configured: &str, url: &str) -> Self {
        let known = (configured != "my_customer").then(|| configured.to_owned());
        Self { url: url.to_owned(), known: Mutex::new(known) }
    }

    /// Takes the customer of a person.
    pub(super) fn check(&self, found: &str) -> Result<(), GoogleError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_empty() || found.len() > ID_CAP {
            let found = "a user without a customerId".to_owned();
            return Err(GoogleError::NotGoogle { url: self.url.clone(), found });
        }
        let known = known.get_or_insert_with(|| found.to_owned());
        if known == found {
            return Ok(());
        }
        Err(GoogleError::CustomerChanged { url: self.url.clone(), known: known.clone(), found: found.to_owned() })
    }

    /// Whether this is the customer whose people were seen.
    pub(super) fn is(&self, customer: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_customer_seen_is_the_only_one() {
        let customer = Customer::new("my_customer", "https://admin.googleapis.com");
        customer.check("C1").unwrap();
        customer.check("C1").unwrap();
        assert!(matches!(customer.check("C2"), Err(GoogleError::CustomerChanged { .. })));
        assert!(customer.is("C1") && !customer.is("C2"));
        assert!(matches!(customer.check(""), Err(GoogleError::NotGoogle { .. })));
    }

    #[test]
    fn a_configured_customer_is_the_only_one_from_the_start() {
        assert!(Customer::new("C1", "").check("C2").is_err());
    }
}
