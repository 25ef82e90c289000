package io.github.bsq4j.bench.report;

import io.github.bsq4j.bench.report.PeerTimes.Measurement;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;

/**
 * The times of one work, of all peers, against one quantity: a figure, and a table.
 *
 * @param name of the figure's file, without its ending
 * @param title what is compared
 * @param axis what the quantity is
 * @param quantity what the times are compared at
 * @param logarithmic whether the quantity's axis is
 * @param which the measurements that belong here
 */
record Comparison(
    String name,
    String title,
    String axis,
    ToIntFunction<Measurement> quantity,
    boolean logarithmic,
    Predicate<Measurement> which) {

  static Comparison byRows(String name, String title, String work, int codeDim) {
    return new Comparison(
        name,
        title + ", D = " + codeDim,
        "rows",
        Measurement::rows,
        true,
        measurement -> measurement.work().equals(work) && measurement.codeDim() == codeDim);
  }

  static Comparison byCodeDim(String name, String title, String work, int rows) {
    return new Comparison(
        name,
        title + ", " + rows + " rows",
        "D",
        Measurement::codeDim,
        false, // what it takes is in its power of two
        measurement -> measurement.work().equals(work) && measurement.rows() == rows);
  }

  /** The values of the quantity, from the smallest on. */
  List<Integer> quantities(PeerTimes times) {
    return times.measurements().stream()
        .filter(which)
        .map(quantity::applyAsInt)
        .distinct()
        .sorted()
        .toList();
  }

  Optional<Measurement> at(PeerTimes times, String peer, int value) {
    return times.find(
        measurement ->
            which.test(measurement)
                && measurement.peer().equals(peer)
                && quantity.applyAsInt(measurement) == value);
  }
}
