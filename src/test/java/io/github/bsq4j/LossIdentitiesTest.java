package io.github.bsq4j;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link LossIdentities} on every path. */
@OnDevice
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class LossIdentitiesTest {
  @Group
  class Host extends LossIdentities {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  @OnDevice(kernels = true)
  class Tensors extends LossIdentities {
    Tensors() {
      super(TestDevice.path(Implementation.KERNELS));
    }
  }

  @Group
  class Operators extends LossIdentities {
    Operators() {
      super(TestDevice.path(Implementation.OPERATORS));
    }
  }
}
