//! The figures as SVG: a bar for each filter, a group of bars for each number of headers.

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::{BenchReport, Row};
use crate::subject::{HEADER_MUTATION, THIS_EXTENSION};

const WIDTH: i32 = 760;
/// In the library's units; about 13 pixels.
const FONT: i32 = 16;
const ROW: i32 = 24;
const TITLE: i32 = 40;
/// Where the bars begin: left of it are the names.
const BARS: i32 = 210;
/// Where the longest bar ends: right of it is its figure.
const END: i32 = WIDTH - 170;

/// The colour of text on a light page.
const TEXT: RGBColor = RGBColor(31, 35, 40);
/// The bars' colours are visible on light and on dark pages.
const BAR: RGBColor = RGBColor(110, 119, 129);
const BAR_OF_THE_EXTENSION: RGBColor = RGBColor(9, 105, 218);

/// On a dark page, text is light. There is no background.
const DARK: &str = "<style>@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }</style>";

/// Draws the instructions that each filter adds to a request, as SVG.
///
/// # Errors
///
/// If the plotting library fails.
pub fn draw(report: &BenchReport) -> Result<String> {
    let mut numbers: Vec<usize> = report.rows.iter().map(|row| row.headers).collect();
    numbers.dedup();
    let titles = i32::try_from(numbers.len())?;
    let rows = i32::try_from(report.rows.len())?;
    let height = titles * TITLE + rows * ROW + ROW / 2;
    let mut svg = String::new();
    {
        let size = (WIDTH.try_into()?, height.try_into()?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut top = 0;
        for headers in numbers {
            let group: Vec<&Row> = report
                .rows
                .iter()
                .filter(|row| row.headers == headers)
                .collect();
            draw_group(&area, top, headers, &group)
                .map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
            top += TITLE + ROW * i32::try_from(group.len())?;
        }
        area.present()
            .map_err(|error| anyhow!("the plot cannot be drawn: {error}"))?;
    }
    let (opening, rest) = svg
        .split_once(">\n")
        .context("the plot has no opening tag")?;
    Ok(format!("{opening}>\n{DARK}\n{rest}"))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_group(
    area: &Area,
    top: i32,
    headers: usize,
    group: &[&Row],
) -> Result<(), Box<dyn std::error::Error>> {
    let font = ("sans-serif", FONT).into_font().color(&TEXT);
    let at = |horizontal| font.pos(Pos::new(horizontal, VPos::Center));
    let plural = if headers == 1 { "" } else { "s" };
    let title = format!("Instructions added to a request by {headers} header{plural}");
    area.draw_text(&title, &at(HPos::Left), (8, top + TITLE / 2))?;
    let longest = group.iter().map(|row| row.added).max().unwrap_or_default();
    for (row, start) in group.iter().zip((top + TITLE..).step_by(ROW as usize)) {
        let middle = start + ROW / 2;
        let share = row.added as f64 / longest.max(1) as f64;
        let end = BARS + (share * f64::from(END - BARS)).round() as i32;
        let colour = if row.name == THIS_EXTENSION {
            BAR_OF_THE_EXTENSION
        } else {
            BAR
        };
        area.draw_text(&row.name, &at(HPos::Right), (BARS - 8, middle))?;
        area.draw(&Rectangle::new(
            [(BARS, start + 3), (end, start + ROW - 3)],
            colour.filled(),
        ))?;
        let figure = match row.times_header_mutation {
            Some(ratio) if row.name != HEADER_MUTATION => {
                format!("{} ({ratio:.1} × native)", row.added)
            }
            _ => row.added.to_string(),
        };
        area.draw_text(&figure, &at(HPos::Left), (end + 8, middle))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_bar_and_a_figure() -> Result<()> {
        let mut report = BenchReport::new(70_000);
        report.add(HEADER_MUTATION, 1, 1, 74_000);
        report.add(THIS_EXTENSION, 1, 1, 80_000);
        report.add("a<b>.wasm", 10, 10, 81_234);
        let svg = draw(&report)?;
        for text in [
            "by 1 header",
            "by 10 headers",
            "10000 (2.5 × native)",
            "11234",
            "a&lt;b&gt;.wasm",
            "prefers-color-scheme",
        ] {
            assert!(svg.contains(text), "{text:?} is not in {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 3);
        Ok(())
    }

    #[test]
    fn report_without_rows_is_an_empty_plot() -> Result<()> {
        assert!(draw(&BenchReport::new(0))?.starts_with("<svg"));
        Ok(())
    }
}
