package io.github.bsq4j;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link Identities} on every path. */
@OnDevice
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class IdentitiesTest {
  @Group
  class Host extends Identities {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  @OnDevice(kernels = true)
  class Tensors extends Identities {
    Tensors() {
      super(TestDevice.path(Implementation.KERNELS));
    }
  }

  @Group
  class Operators extends Identities {
    Operators() {
      super(TestDevice.path(Implementation.OPERATORS));
    }
  }
}
