package io.github.bsq4j;

import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link OracleComparison} on every path. */
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class OracleTest {
  @Group
  class Host extends OracleComparison {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  class Tensors extends OracleComparison {
    Tensors() {
      super(QuantizerPath.TENSOR);
    }
  }

  @Group
  class Operators extends OracleComparison {
    Operators() {
      super(QuantizerPath.OPERATORS);
    }
  }
}
