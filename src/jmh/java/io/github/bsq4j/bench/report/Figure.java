package io.github.bsq4j.bench.report;

import io.github.bsq4j.bench.report.PeerTimes.Measurement;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws a comparison. */
final class Figure {
  private static final int WIDTH = 760;
  private static final int HEIGHT = 460;

  // Pages are light or dark: nothing is painted behind, and all that is drawn is of medium
  // lightness.
  private static final Color NOTHING = new Color(0, 0, 0, 0);
  private static final Color TEXT = new Color(0x808080);
  private static final Color GRID = new Color(0x80, 0x80, 0x80, 0x40);

  /** One with more digits than anyone sees: they are half of the file. */
  private static final Pattern LONG_NUMBER = Pattern.compile("(\\d+\\.\\d\\d)\\d+");

  private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 13);
  private static final Map<String, Color> COLORS =
      Map.of(
          "bsq4j", new Color(0xe0, 0x4f, 0x2f),
          "plain-java", new Color(0x9a, 0x6f, 0xd0),
          "pytorch", new Color(0x2f, 0x8f, 0xd8),
          "bytedeco", new Color(0x2f, 0xa0, 0x6a),
          "djl", new Color(0xc0, 0x8a, 0x1f));

  private Figure() {}

  static void write(PeerTimes times, Comparison comparison, Path file) throws IOException {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .xAxisTitle(comparison.axis())
            .yAxisTitle("time")
            .build();
    style(chart.getStyler(), comparison);
    for (String peer : times.peers()) {
      addSeries(chart, times, comparison, peer);
    }
    String svg = new String(ChartEncoder.getBytes(chart, "svg"), StandardCharsets.UTF_8);
    Files.writeString(file, LONG_NUMBER.matcher(svg).replaceAll("$1"));
  }

  private static void style(XYStyler styler, Comparison comparison) {
    styler.setChartBackgroundColor(NOTHING);
    styler.setPlotBackgroundColor(NOTHING);
    styler.setLegendBackgroundColor(NOTHING);
    styler.setLegendBorderColor(NOTHING);
    styler.setPlotBorderColor(GRID);
    styler.setPlotGridLinesColor(GRID);
    styler.setAxisTicksMarksVisible(false); // the grid has them
    styler.setPlotGridLinesStroke(new BasicStroke(1));
    styler.setChartFontColor(TEXT);
    styler.setAxisTickLabelsColor(TEXT);
    styler.setAxisTickMarksColor(TEXT);
    styler.setChartTitleVisible(false); // the page has it
    styler.setAxisTitleFont(FONT);
    styler.setAxisTickLabelsFont(FONT);
    styler.setLegendFont(FONT);
    styler.setLegendPosition(LegendPosition.OutsideE);
    styler.setMarkerSize(7);
    styler.setXAxisLogarithmic(comparison.logarithmic());
    styler.setYAxisLogarithmic(true);
    styler.setXAxisLogarithmicDecadeOnly(true);
    styler.setYAxisLogarithmicDecadeOnly(true);
    styler.setXAxisTickLabelsFormattingFunction(Quantities::count);
    styler.setYAxisTickLabelsFormattingFunction(Quantities::decade);
  }

  private static void addSeries(
      XYChart chart, PeerTimes times, Comparison comparison, String peer) {
    List<Integer> quantities = new ArrayList<>();
    List<Double> medians = new ArrayList<>();
    for (int value : comparison.quantities(times)) {
      Optional<Measurement> measurement = comparison.at(times, peer, value);
      if (measurement.isPresent() && measurement.get().seconds() != null) {
        quantities.add(value);
        medians.add(measurement.get().seconds().median());
      }
    }
    if (!quantities.isEmpty()) {
      XYSeries series = chart.addSeries(peer, quantities, medians);
      series.setMarker(SeriesMarkers.CIRCLE);
      series.setMarkerColor(COLORS.get(peer));
      series.setLineColor(COLORS.get(peer));
      series.setLineStyle(new BasicStroke(2));
    }
  }
}
