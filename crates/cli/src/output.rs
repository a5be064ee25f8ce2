//! All that is written to standard output and standard error.
//!
//! Results go to standard output, in the format asked for; everything else goes to standard error. A
//! reader that has gone away (`atoll export … | head`) ends the program quietly.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement, Table};
use serde::Serialize;

use crate::failure::Failure;

/// No table is drawn narrower.
const WIDTH_MIN: u16 = 80;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Shows a result: for people by `table`, otherwise the value itself.
pub(crate) fn show<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(value),
        Format::Json => {
            serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?
        }
        Format::Yaml => yaml(value)?,
    };
    line(text.trim_end_matches('\n'));
    Ok(())
}

/// By way of JSON: values passed through as JSON text are only understood there.
fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    let value = serde_json::to_value(value).map_err(|error| Failure::new(error.to_string()))?;
    serde_yaml_ng::to_string(&value).map_err(|error| Failure::new(error.to_string()))
}

/// One line, or several, to standard output.
pub(crate) fn line(text: &str) {
    bytes(text.as_bytes());
    bytes(b"\n");
}

/// Bytes as they are, to standard output.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        let code = i32::from(error.kind() != io::ErrorKind::BrokenPipe);
        std::process::exit(code);
    }
}

/// A remark to standard error. It is a courtesy: nobody may be there to read it.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A failure to standard error.
pub(crate) fn error(text: &str) {
    note(text.trim_end());
}

/// Whether a person watches standard output.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// Clears the terminal and writes from the top.
pub(crate) fn redraw(text: &str) {
    bytes(format!("\x1b[H\x1b[J{text}\n").as_bytes());
}

/// A table without lines, as wide as the terminal allows.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads.map(Cell::new));
    // Some terminals do not know how wide they are.
    if table.width().is_some_and(|width| width < WIDTH_MIN) {
        table.set_width(WIDTH_MIN);
    }
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    let text = table.to_string();
    text.lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}
