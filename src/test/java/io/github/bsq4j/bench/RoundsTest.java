package io.github.bsq4j.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RoundsTest {
  @Test
  void spreads() {
    assertEquals(new Spread(1, 2, 9), Spread.of(9, 1, 2));
    assertEquals(new Spread(1, 3, 9), Spread.of(4, 9, 1, 2));
    assertEquals(new Spread(5, 5, 5), Spread.of(5));
    assertEquals(new Spread(3, 6, 27), Spread.of(9, 1, 2).times(3));
  }

  /** Works that claim to have taken time. */
  @Test
  void alternatesAndRepeatsWhatIsShort() {
    List<String> calls = new ArrayList<>();
    Work slow =
        repetitions -> {
          calls.add("slow " + repetitions);
          return 11.0 * repetitions;
        };
    Work quick =
        repetitions -> {
          calls.add("quick " + repetitions);
          return 0.25 * repetitions;
        };
    Rounds rounds = Rounds.of(40, slow, quick); // a fortieth is a second
    assertEquals(9, rounds.count());
    assertEquals(
        List.of("slow 1", "slow 1", "quick 1", "quick 1", "quick 2", "quick 4"),
        calls.subList(0, 6));
    for (int i = 6; i < calls.size(); i += 2) {
      assertEquals(List.of("slow 1", "quick 4"), calls.subList(i, i + 2));
    }
    assertEquals(6 + 2 * 9, calls.size());
    assertEquals(new Spread(11, 11, 11), rounds.seconds(0));
    assertEquals(new Spread(0.25, 0.25, 0.25), rounds.seconds(1));
    assertEquals(new Spread(44, 44, 44), rounds.ratio(0, 1));
  }

  @Test
  void moreRoundsWhereThereIsTime() {
    Rounds rounds = Rounds.of(40, repetitions -> 2.0 * repetitions);
    assertEquals(20, rounds.count());
  }

  @Test
  void anInterruptionIsNoWarmUp() {
    int[] calls = new int[1];
    Rounds rounds =
        Rounds.of(
            0.4, // a fortieth is 10 ms
            repetitions -> calls[0]++ == 1 ? 0.05 : 0.001 * repetitions);
    assertEquals(25, rounds.count()); // of 16 repetitions each
  }

  @Test
  void endsWhereTheWarmUpTookTooLong() {
    int[] calls = new int[1];
    Rounds rounds = Rounds.of(0.4, repetitions -> calls[0]++ < 2 ? 1 : 1e-9);
    assertEquals(160, rounds.count());
  }

  @Test
  void timesACall() {
    int[] calls = new int[1];
    assertTrue(Work.of(() -> calls[0]++).seconds(5) > 0);
    assertEquals(5, calls[0]);
  }
}
