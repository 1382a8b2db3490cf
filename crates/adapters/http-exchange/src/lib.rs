//! The parts of an outbound HTTP/1.1 exchange that are the same whoever asks: the webhook client asks receivers nobody vouches
//! for, and the gateway's proxy asks the product.
//!
//! [`HeadReader`] finds an answer's head in bytes that come as they like, [`Framed`] says where its body ends, [`BodyReader`]
//! finds that end; [`Connector`] opens a [`Stream`], and [`Idle`] remembers those that may be used again. What takes bytes
//! apart knows no sockets and gives the same however the bytes are torn. Why this is not a library:
//! `docs/decisions/0006-own-http-exchange.md`.
//!
//! Deliberately absent: writing requests, waiting for answers, and any opinion on what is doubtful. Who asks decides that: a
//! webhook's status counts even when nobody can say where its answer ends, and an answer that is passed on may not leave the
//! slightest doubt.

mod body;
mod connector;
mod framing;
mod head;
mod idle;
mod origin;
mod stream;

pub use body::{BodyReader, Taken};
pub use connector::{Connector, Unconnected, tls_config};
pub use framing::{Framed, Framing, list, values};
pub use head::{AnswerHead, HeadReader, MOST_HEAD_BYTES, Malformed};
pub use httparse::Header;
pub use idle::Idle;
pub use origin::Origin;
pub use stream::Stream;
