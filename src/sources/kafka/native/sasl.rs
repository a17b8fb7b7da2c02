//! Proving who we are: PLAIN (RFC 4616) and SCRAM (RFC 5802) inside Kafka's
//! `SaslAuthenticate` requests (KIP-152).

use std::time::{Duration, Instant};

use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use rsasl::prelude::{Mechname, MessageSent, SASLClient, SASLConfig, State};

use super::connection::{Connection, Fault};
use super::settings::Sasl;

/// The share of a session's life after which it is renewed.
const RENEW_AT: f64 = 0.85;

/// Authenticates. Gives when it has to be done anew, if ever.
///
/// # Errors
/// [`Fault::Denied`] with the broker's words if it does not let us in.
pub fn authenticate(
    connection: &mut Connection,
    sasl: &Sasl,
) -> Result<Option<Instant>, Fault> {
    let mechanism = StrBytes::from_string(sasl.mechanism.clone());
    let handshake = SaslHandshakeRequest::default().with_mechanism(mechanism);
    let answer = connection.ask(&handshake)?;
    if answer.error_code != 0 {
        let offered: Vec<&str> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
        return Err(Fault::Denied(format!(
            "SASL {} is not offered, only {}",
            sasl.mechanism,
            offered.join(", ")
        )));
    }
    let impossible = |error: &dyn std::fmt::Display| Fault::Denied(format!("SASL: {error}"));
    let config =
        SASLConfig::with_credentials(None, sasl.username.clone(), sasl.password.clone())
            .map_err(|e| impossible(&e))?;
    let mechanism = Mechname::parse(sasl.mechanism.as_bytes()).map_err(|e| impossible(&e))?;
    let mut session =
        SASLClient::new(config).start_suggested(&[mechanism]).map_err(|e| impossible(&e))?;
    let (mut told, mut renew_at): (Option<Vec<u8>>, _) = (None, None);
    loop {
        let mut say = Vec::new();
        let state = session.step(told.as_deref(), &mut say).map_err(|e| impossible(&e))?;
        if matches!(state, State::Finished(MessageSent::No)) {
            return Ok(renew_at);
        }
        let request = SaslAuthenticateRequest::default().with_auth_bytes(say.into());
        let answer = connection.ask(&request)?;
        if answer.error_code != 0 {
            let why = answer.error_message.map(|text| text.to_string());
            return Err(Fault::Denied(
                why.unwrap_or_else(|| "authentication failed".to_owned()),
            ));
        }
        let life = u64::try_from(answer.session_lifetime_ms).unwrap_or_default();
        renew_at =
            (life > 0).then(|| Instant::now() + Duration::from_millis(life).mul_f64(RENEW_AT));
        if matches!(state, State::Finished(MessageSent::Yes)) {
            return Ok(renew_at);
        }
        told = Some(answer.auth_bytes.to_vec());
    }
}
