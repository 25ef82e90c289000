package io.github.bsq4j;

import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link LossIdentities} on every path. */
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class LossIdentitiesTest {
  @Group
  class Host extends LossIdentities {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  class Tensors extends LossIdentities {
    Tensors() {
      super(QuantizerPath.TENSOR);
    }
  }

  @Group
  class Operators extends LossIdentities {
    Operators() {
      super(QuantizerPath.OPERATORS);
    }
  }
}
