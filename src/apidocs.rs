//! The documentation, generated from the endpoint specs and the access table that is loaded now.
//!
//! | module | is for |
//! |---|---|
//! | `handlers` | the paths and their answers |
//! | `document` | a text or file as it is served, with its entity tag |
//! | `page`, `method`, `guide`, `texts` | the page at `/`, its parts and its texts in two languages |
//! | `table` | the tables of input and output, read off the schemas |
//! | [`openapi`], `operation` | the OpenAPI document |
//! | `example` | examples, made by what serves real calls |
//! | `swagger` | Swagger UI from inside the binary |
//! | `language` | the language that a request asks for |
//!
//! It needs no token, so a request is cheap: page and document are rendered once for each access table, files are sent as
//! stored, and entity tags let browsers keep them.

mod document;
mod example;
mod guide;
mod handlers;
mod language;
mod method;
pub(crate) mod openapi;
mod operation;
mod page;
mod swagger;
mod table;
mod texts;

pub(crate) use handlers::{DocsState, routes};
