//! Progress bars, on standard error; invisible when nobody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over bytes whose total is known.
pub(crate) fn over_bytes(total: u64) -> ProgressBar {
    bar(
        ProgressBar::with_draw_target(Some(total), target()),
        "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}",
    )
}

/// A bar over things whose number is known.
pub(crate) fn over_items(total: u64) -> ProgressBar {
    bar(
        ProgressBar::with_draw_target(Some(total), target()),
        "{msg} [{bar:30}] {human_pos}/{human_len} {eta}",
    )
}

/// A spinner with a count, when the total is not known.
pub(crate) fn open_ended() -> ProgressBar {
    bar(
        ProgressBar::with_draw_target(None, target()),
        "{spinner} {msg} {human_pos}",
    )
}

fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::stderr_with_hz(10)
}

fn bar(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
