package io.github.bsq4j.lifetimes;

import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;

/** {@link LiveHandlesExtension} for jqwik's properties, which JUnit's extensions do not reach. */
public final class LiveHandlesHook implements AroundPropertyHook {
  @Override
  public PropertyExecutionResult aroundProperty(
      PropertyLifecycleContext context, PropertyExecutor property) {
    long before = LiveHandles.count();
    PropertyExecutionResult result = property.execute();
    try {
      LiveHandles.requireNoMore(context.label(), before);
      return result;
    } catch (AssertionError leak) {
      return result.status() == PropertyExecutionResult.Status.SUCCESSFUL
          ? result.mapToFailed(leak)
          : result;
    }
  }

  @Override
  public PropagationMode propagateTo() {
    return PropagationMode.ALL_DESCENDANTS;
  }
}
