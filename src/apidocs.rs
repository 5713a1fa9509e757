//! The documentation, generated from the endpoint specs and the access table that is loaded now.
//!
//! | module | is for |
//! |---|---|
//! | `handlers`, `document` | the paths and their answers; a text or file as it is served |
//! | `page`, `method`, `guide`, `texts`, `language` | the page at `/`, its parts and its texts in two languages |
//! | `table`, `example` | the tables of input and output, read off the schemas; examples, made by what serves real calls |
//! | [`openapi`], `swagger` | the OpenAPI document; Swagger UI from inside the binary |
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
mod page;
mod swagger;
mod table;
mod texts;

pub(crate) use handlers::{DocsState, routes};
