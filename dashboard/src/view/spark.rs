//! Small pictures of what happened lately, drawn on the server: a bar for each stretch of time, what went wrong on top.
//!
//! Integers alone. The numbers stand beside it as text, so that nothing is told by the picture only.

use maud::{Markup, html};

/// Height of the picture, in its own units.
const HEIGHT: u64 = 16;

/// Bars of `good` with `bad` on top of each, oldest first, under a title that says what they are.
pub(crate) fn bars(title: &str, good: &[u64], bad: &[u64]) -> Markup {
    let count = |at: usize| (good.get(at).copied().unwrap_or(0), bad.get(at).copied().unwrap_or(0));
    let length = good.len().max(bad.len());
    let most = (0..length).map(|at| count(at).0.saturating_add(count(at).1)).max().unwrap_or(0);
    html! {
        svg.spark role="img" aria-label=(title) viewBox=(format!("0 0 {} {HEIGHT}", length.max(1) * 3)) preserveAspectRatio="none" {
            title { (title) }
            @if most > 0 {
                @for at in 0..length {
                    @let (good, bad) = count(at);
                    @let (whole, lower) = (height(good.saturating_add(bad), most), height(good, most));
                    @if whole > 0 {
                        @if lower > 0 { rect.s-completed x=(at * 3) y=(HEIGHT - lower) width="2" height=(lower) {} }
                        @if whole > lower { rect.s-dead x=(at * 3) y=(HEIGHT - whole) width="2" height=(whole - lower) {} }
                    }
                }
            }
        }
    }
}

/// How high a bar is: at least 1 for anything at all.
fn height(value: u64, most: u64) -> u64 {
    let part = u128::from(value) * u128::from(HEIGHT) / u128::from(most.max(1));
    u64::try_from(part).unwrap_or(HEIGHT).max(u64::from(value > 0))
}

#[cfg(test)]
mod tests {
    use super::bars;

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let drawn = bars("a & b", &[0, 8, 1], &[0, 8, 0]).into_string();
        assert_eq!(drawn.matches("<rect").count(), 3, "{drawn}");
        assert!(drawn.contains("<title>a &amp; b</title>") && drawn.contains("viewBox=\"0 0 9 16\""), "{drawn}");
        assert!(drawn.contains("class=\"s-completed\" x=\"3\" y=\"8\" width=\"2\" height=\"8\""), "{drawn}");
        assert!(drawn.contains("class=\"s-dead\" x=\"3\" y=\"0\" width=\"2\" height=\"8\""), "{drawn}");
        assert!(drawn.contains("x=\"6\" y=\"15\" width=\"2\" height=\"1\""), "{drawn}");
    }

    #[test]
    fn nothing_is_an_empty_picture_and_the_largest_numbers_are_drawn() {
        assert!(!bars("none", &[0; 30], &[0; 30]).into_string().contains("<rect"));
        assert!(!bars("none", &[], &[]).into_string().contains("<rect"));
        assert!(bars("many", &[u64::MAX], &[u64::MAX]).into_string().contains("height=\"16\""));
    }
}
