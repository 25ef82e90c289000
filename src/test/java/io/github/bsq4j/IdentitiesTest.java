package io.github.bsq4j;

import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link Identities} on every path. */
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class IdentitiesTest {
  @Group
  class Host extends Identities {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  class Tensors extends Identities {
    Tensors() {
      super(QuantizerPath.TENSOR);
    }
  }

  @Group
  class Operators extends Identities {
    Operators() {
      super(QuantizerPath.OPERATORS);
    }
  }
}
