//! The documentation, generated from the endpoint specs and the access table that is loaded now.
//!
//! | module | is for |
//! |---|---|
//! | `routes`, `handlers` | the paths and their answers |
//! | `page`, `method`, `guide`, `texts` | the page at `/`, its parts and its texts in two languages |
//! | `table` | the tables of input and output, read off the schemas |
//! | [`openapi`], `operation` | the OpenAPI document |
//! | `example` | examples, made by what serves real calls |
//! | `swagger` | Swagger UI from inside the binary |
//! | `host`, `language` | what a request says of where and how to write |
//! | `stylesheet`, `entity_tag` | the style sheet under the name of its content; names of contents |
//! | `rendered` | page and document as they are cached |
//!
//! It needs no token, so a request is cheap: page and document are rendered once for each access table, files are sent as
//! stored, and entity tags let browsers keep them.

mod entity_tag;
mod example;
mod guide;
mod handlers;
mod host;
mod language;
mod method;
pub(crate) mod openapi;
mod operation;
mod page;
mod rendered;
mod routes;
mod stylesheet;
mod swagger;
mod table;
mod texts;

pub(crate) use rendered::DocsState;
pub(crate) use routes::routes;
