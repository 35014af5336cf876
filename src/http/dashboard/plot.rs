//! Stacked bars over time, which the template draws as inline SVG, and the same numbers as a table.
//!
//! The drawing is stretched to the width of the page, so all texts are outside of it. Positions are
//! attributes of SVG, because the Content-Security-Policy forbids inline styles.

use serde::Serialize;

use super::view::number;

/// A plot.
#[derive(Debug, Serialize)]
pub(super) struct Plot {
    /// Distinguishes the plots of a page.
    id: &'static str,
    title: &'static str,
    /// What it shows, in a sentence for screen readers.
    summary: String,
    is_empty: bool,
    /// The width of the drawing; its height is 100.
    width: usize,
    columns: Vec<Column>,
    /// The numbers at the top, in the middle and at the bottom.
    scale: [String; 3],
    /// The times below the drawing, at equal distances.
    times: Vec<String>,
    legend: Vec<LegendEntry>,
    rows: Vec<TableRow>,
}

/// The numbers of one kind over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub label: String,
    pub counts: Vec<i64>,
}

#[derive(Debug, Serialize)]
struct Column {
    x: usize,
    hint: String,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    /// The number of the colour.
    color: usize,
    y: String,
    height: String,
}

#[derive(Debug, Serialize)]
struct LegendEntry {
    color: usize,
    label: String,
    total: String,
}

#[derive(Debug, Serialize)]
struct TableRow {
    time: String,
    counts: Vec<i64>,
}

/// The number of series with their own colour; all others are combined into one.
const COLORS: usize = 6;

/// The width of a column in the drawing, including the space after it.
const COLUMN: usize = 10;

const OTHERS: &str = "others";

impl Plot {
    /// Stacks series; the largest is at the bottom. `intervals` names each column, `times` the points at
    /// equal distances below them.
    pub fn new(
        id: &'static str,
        title: &'static str,
        series: Vec<Series>,
        intervals: &[String],
        times: Vec<String>,
    ) -> Self {
        let series = ranked(series);
        let total = |series: &Series| series.counts.iter().sum::<i64>();
        let at = |series: &Series, index: usize| series.counts.get(index).copied().unwrap_or_default();
        let sums = (0..intervals.len()).map(|index| series.iter().map(|series| at(series, index)).sum());
        let sums: Vec<i64> = sums.collect();
        let top = scale_top(sums.iter().copied().max().unwrap_or_default());
        let columns =
            intervals.iter().enumerate().filter(|(index, _)| sums.get(*index).is_some_and(|sum| *sum > 0));
        let columns = columns.map(|(index, interval)| {
            let mut below = 0;
            let counted = series.iter().enumerate().map(|(color, series)| (color, series, at(series, index)));
            let counted: Vec<_> = counted.filter(|(_, _, count)| *count > 0).collect();
            let bars = counted.iter().map(|(color, _, count)| {
                below += count;
                Bar { color: *color, y: percent(top - below, top), height: percent(*count, top) }
            });
            let bars = bars.collect();
            let parts: Vec<String> = counted
                .iter()
                .map(|(_, series, count)| format!("{} {}", number(*count), series.label))
                .collect();
            Column { x: index * COLUMN, hint: format!("{interval}: {}", parts.join(", ")), bars }
        });
        let all: i64 = sums.iter().sum();
        let parts: Vec<String> =
            series.iter().map(|series| format!("{} {}", number(total(series)), series.label)).collect();
        let rows = intervals.iter().enumerate().map(|(index, interval)| TableRow {
            time: interval.clone(),
            counts: series.iter().map(|series| at(series, index)).collect(),
        });
        Self {
            id,
            title,
            summary: match all {
                0 => "None in this time.".to_owned(),
                all => format!("{} in this time: {}.", number(all), parts.join(", ")),
            },
            is_empty: all == 0,
            width: intervals.len() * COLUMN,
            columns: columns.collect(),
            scale: [number(top), number(top / 2), "0".to_owned()],
            times,
            rows: rows.collect(),
            legend: series
                .iter()
                .enumerate()
                .map(|(color, series)| LegendEntry {
                    color,
                    label: series.label.clone(),
                    total: number(total(series)),
                })
                .collect(),
        }
    }
}

/// Sorts the series, the largest first, and combines those beyond [`COLORS`] into one.
fn ranked(mut series: Vec<Series>) -> Vec<Series> {
    series.sort_by_cached_key(|series| (-series.counts.iter().sum::<i64>(), series.label.clone()));
    if series.len() > COLORS {
        let others = series.split_off(COLORS - 1);
        let length = others.iter().map(|series| series.counts.len()).max().unwrap_or_default();
        let at = |index: usize| others.iter().filter_map(|series| series.counts.get(index)).sum();
        series.push(Series { label: OTHERS.to_owned(), counts: (0..length).map(at).collect() });
    }
    series
}

/// The smallest of 2, 4, 6, 8, 10, 20, 40, … that is at least `most`. Each of these has a half that
/// is a whole number.
fn scale_top(most: i64) -> i64 {
    let mut unit = 1;
    loop {
        if let Some(step) = [2, 4, 6, 8, 10].into_iter().find(|step| step * unit >= most) {
            return step * unit;
        }
        unit *= 10;
    }
}

/// `part` of `whole` in percent of the height of the drawing.
fn percent(part: i64, whole: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a position in a drawing")]
    let percent = part as f64 / whole as f64 * 100.0;
    format!("{percent:.2}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn series(label: &str, counts: &[i64]) -> Series {
        Series { label: label.into(), counts: counts.to_vec() }
    }

    #[rstest]
    #[case(0, 2)]
    #[case(2, 2)]
    #[case(3, 4)]
    #[case(11, 20)]
    #[case(100, 100)]
    #[case(101, 200)]
    #[case(999_999, 1_000_000)]
    fn the_scale_has_a_whole_middle(#[case] most: i64, #[case] top: i64) {
        assert_eq!(scale_top(most), top);
    }

    #[test]
    fn bars_are_stacked_from_the_bottom() {
        let intervals = ["first".to_owned(), "second".to_owned()];
        let plot = Plot::new(
            "id",
            "title",
            vec![series("a", &[1, 0]), series("b", &[3, 0])],
            &intervals,
            Vec::new(),
        );
        let [column] = plot.columns.as_slice() else { panic!("{:?}", plot.columns) };
        let bars: Vec<_> = column.bars.iter().map(|bar| (bar.color, &*bar.y, &*bar.height)).collect();
        assert_eq!(bars, [(0, "25.00", "75.00"), (1, "0.00", "25.00")]);
        assert_eq!(column.hint, "first: 3 b, 1 a");
        assert_eq!(plot.summary, "4 in this time: 3 b, 1 a.");
        assert_eq!(plot.scale, ["4", "2", "0"]);
    }

    #[test]
    fn small_series_are_combined() {
        let many = (0..9).map(|index| series(&index.to_string(), &[9 - index, 1])).collect();
        let ranked = ranked(many);
        assert_eq!(ranked.len(), COLORS);
        assert_eq!(ranked[COLORS - 1], series(OTHERS, &[4 + 3 + 2 + 1, 4]));
    }
}
