package io.github.bsq4j.bench.report;

/** What repeated measurements gave. */
record Spread(double min, double median, double max) {}
