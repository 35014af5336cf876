//! The webhook: a change is verified, parsed, checked and stored before the response. mittwald
//! repeats a delivery until it gets a response with a status of success.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Mittwald;
use crate::audit::{InstanceEvent, Outcome};
use crate::authn::mittwald::{
    BadDelivery, BadSignature, Change, Delivery, Expected, Handling, InstanceSecret, InstanceState,
    KeyUnavailable, NotForUs, WebhookSignature,
};
use crate::clock::Timestamp;
use crate::http::body::{self, BadBody};
use crate::http::context::{Context, RequestContext, headers};
use crate::http::record::{FAILING_STORE_LIMIT, record_outcome};
use crate::http::refused::{ForProgram, Recipient, RefusedRequest};
use crate::refusal::{Reason, Refusal};
use crate::seal::KeyRing;
use crate::sign_on::EventDetails;
use crate::store::instances::{Applied, InstanceChange, SealedSecret, StoredState};

/// The maximum length of a body, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// The time after which a webhook is refused. Storing the audit event of the refusal takes
/// additional time.
const LIMIT: Duration = Duration::from_secs(3);

/// How long mittwald waits for a response.
const DELIVERY_LIMIT: Duration = Duration::from_secs(6);
const _: () = assert!(LIMIT.as_secs() + FAILING_STORE_LIMIT.as_secs() < DELIVERY_LIMIT.as_secs());

/// Handles a delivery.
pub(in crate::http) async fn receive(
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, RefusedRequest> {
    if request.method() != Method::POST {
        let refused = RefusedRequest::method_not_allowed("POST", "webhooks are delivered with POST");
        return Err(RefusedRequest { recipient: Recipient::Api, ..refused });
    }
    let mut details = EventDetails::default();
    let handle = Box::pin(handle(&context, &request, payload, &mut details));
    let handled = tokio::time::timeout(LIMIT, handle).await;
    let handled = handled.unwrap_or_else(|_| {
        Err(Reason::StoreUnavailable.because("the webhook could not be received and stored within 3 s"))
    });
    match handled {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(refusal) => {
            let refused = RefusedRequest::for_program(refusal, ForProgram::default());
            Err(RefusedRequest { details: Box::new(details), ..refused })
        }
    }
}

/// Handles a delivery. Sets the instance in `details` as soon as a verified body names it.
async fn handle(
    context: &RequestContext,
    request: &HttpRequest,
    payload: web::Payload,
    details: &mut EventDetails,
) -> Result<(), Refusal> {
    let Some(mittwald) = &context.snapshot.mittwald else {
        return Err(Reason::NotFound.because("there is nothing at this path"));
    };
    let headers = headers(request);
    let signature = WebhookSignature::read(&headers).map_err(unsigned)?;
    let client = context.peer.unverified_client(&headers);
    let key = mittwald.fetched.keys.get(signature.serial(), client).await.map_err(no_key)?;
    let body = body::receive(payload, MAX_BODY, LIMIT).await.map_err(no_body)?;
    let verified = signature.verify(&body, &key).map_err(unsigned)?;
    let delivery = Delivery::parse(verified).map_err(unreadable)?;
    details.instance_id = Some(delivery.instance_id);
    let settings = &mittwald.settings;
    let expected = Expected {
        url: &settings.webhook_url,
        query: request.uri().query().unwrap_or_default(),
        extension_ids: &settings.extension_ids,
        max_age: settings.webhook_max_age,
        max_ahead: settings.webhook_max_ahead,
    };
    let event = match delivery.check(&expected, Timestamp::now()).map_err(not_for_us)? {
        Handling::DryRun => note_dry_run(context, &delivery).await?,
        Handling::Store => store(context, mittwald, &delivery).await?,
    };
    record_outcome(context, request, Outcome::Instance(event), details).await
}

/// Stores only the id of a dry run, so that it cannot be replayed as a change, nor a change as a
/// dry run.
async fn note_dry_run(context: &RequestContext, delivery: &Delivery) -> Result<InstanceEvent, Refusal> {
    let no_store = || Reason::StoreUnavailable.because("store.url applies after a restart");
    let store = context.shared.store.as_ref().ok_or_else(no_store)?;
    match store.note_webhook(delivery.request_id, Timestamp::now().unix_microseconds()).await {
        Ok(true) => Ok(InstanceEvent::DryRun),
        Ok(false) => Err(replayed()),
        Err(error) => Err(Reason::StoreUnavailable.because(format!("its id is not stored: {error}"))),
    }
}

/// Stores the change, and waits until it is on disk.
async fn store(
    context: &RequestContext,
    mittwald: &Mittwald,
    delivery: &Delivery,
) -> Result<InstanceEvent, Refusal> {
    let Some(changes) = &context.shared.instance_changes else {
        return Err(Reason::StoreUnavailable.because("store.url applies after a restart"));
    };
    let change = change_of(delivery, &mittwald.settings.secrets)?;
    let applied = changes.apply(change).await;
    mittwald.fetched.tokens.forget(delivery.instance_id);
    match applied {
        Ok(Applied::Applied) => Ok(match &delivery.change {
            Change::Added { .. } => InstanceEvent::Added,
            Change::Updated { .. } => InstanceEvent::Updated,
            Change::SecretRotated { .. } => InstanceEvent::SecretRotated,
            Change::Removed => InstanceEvent::Removed,
        }),
        Ok(Applied::Outdated) => Ok(InstanceEvent::Ignored),
        Ok(Applied::Replayed) => Err(replayed()),
        Ok(Applied::OtherExtension) => {
            Err(Reason::NotAllowed.because("the instance is known as one of another extension"))
        }
        Err(error) => Err(Reason::StoreUnavailable.because(format!("the change is not stored: {error}"))),
    }
}

fn replayed() -> Refusal {
    Reason::NotAllowed.because("a webhook with this request.id was received before")
}

fn change_of(delivery: &Delivery, secrets: &KeyRing) -> Result<InstanceChange, Refusal> {
    let (state, secret) = match &delivery.change {
        Change::Added { state, secret } => (Some(state), Some(secret)),
        Change::Updated { state } => (Some(state), None),
        Change::SecretRotated { secret } => (None, Some(secret)),
        Change::Removed => (None, None),
    };
    let seal = |secret: &InstanceSecret| -> Result<SealedSecret, Refusal> {
        let context = InstanceSecret::context(delivery.instance_id, delivery.extension_id);
        let ciphertext = secrets.seal(&context, secret.expose().as_bytes());
        let ciphertext = ciphertext.map_err(|failure| Reason::Internal.because(failure.to_string()))?;
        Ok(SealedSecret { ciphertext, key_id: secrets.sealing_key().as_bytes().to_vec() })
    };
    let stored = |InstanceState { scopes, enabled, variant }: &InstanceState| StoredState {
        scopes: scopes.clone(),
        enabled: *enabled,
        variant: variant.clone(),
    };
    Ok(InstanceChange {
        request_id: delivery.request_id,
        created_at_us: delivery.created_at.unix_microseconds(),
        received_at_us: Timestamp::now().unix_microseconds(),
        id: delivery.instance_id,
        extension_id: delivery.extension_id,
        contributor_id: delivery.contributor_id,
        context_id: delivery.context.id,
        context_kind: delivery.context.kind.clone(),
        state: state.map(stored),
        secret: secret.map(seal).transpose()?,
        is_removed: matches!(delivery.change, Change::Removed),
    })
}

fn no_body(why: BadBody) -> Refusal {
    match why {
        BadBody::TooLong(_) => Reason::BodyTooLarge.because(why.to_string()),
        BadBody::TooSlow(_) | BadBody::Broken => why.into(),
    }
}

fn unsigned(why: BadSignature) -> Refusal {
    let reason = match why {
        BadSignature::Missing(_) => Reason::Unauthenticated,
        BadSignature::Repeated(_) | BadSignature::Serial | BadSignature::Encoding => Reason::BadRequest,
        BadSignature::Algorithm | BadSignature::Wrong => Reason::InvalidToken,
    };
    reason.because(format!("the webhook is refused: {why}"))
}

fn no_key(why: KeyUnavailable) -> Refusal {
    let reason = match why {
        KeyUnavailable::Unknown => Reason::InvalidToken,
        KeyUnavailable::TooMany(_) | KeyUnavailable::Failed(_) => Reason::KeysUnavailable,
    };
    reason.because(format!("the webhook is not verified: {why}"))
}

fn unreadable(why: BadDelivery) -> Refusal {
    Reason::BadRequest.because(format!("the webhook is refused: {why}"))
}

fn not_for_us(why: NotForUs) -> Refusal {
    Reason::NotAllowed.because(format!("the webhook is refused: {why}"))
}
