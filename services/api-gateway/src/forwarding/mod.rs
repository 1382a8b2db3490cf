//! Passing calls on to the product: which paths go where is the route table's to say, and what it does not name is not
//! passed on.
//!
//! [`RouteTable`] reads and matches and knows nothing of files; [`Forwarder`] holds the table in force and follows the file
//! it came from; a path that could mean different things here and behind us is refused by [`check_path`].

mod forwarder;
mod path;
mod route;
mod route_table;

pub(crate) use forwarder::Forwarder;
pub(crate) use path::check_path;
pub(crate) use route_table::{Match, RouteTable};
