package io.github.bsq4j.device;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.Optional;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import net.jqwik.api.lifecycle.LifecycleContext;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.SkipExecutionHook;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Tests with tensors on {@link TestDevice}: they run on any device. Where the device that is asked
 * for is missing they are skipped, with the reason. Of JUnit or jqwik; their tag is {@code device},
 * by which scripts/gpu-bundle.sh's run-tests.sh finds them.
 */
@Documented
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("device")
@net.jqwik.api.Tag("device")
@ExtendWith(OnDevice.Condition.class)
@AddLifecycleHook(OnDevice.Hook.class)
public @interface OnDevice {
  /** Whether they are of kernels, which a device may have none of. */
  boolean kernels() default false;

  /** For JUnit: of each test, since Maven would not count classes with parameters as skipped. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      return context
          .getTestMethod()
          .flatMap(test -> TestDevice.problem(Optional.of(test)))
          .map(ConditionEvaluationResult::disabled)
          .orElseGet(() -> ConditionEvaluationResult.enabled(TestDevice.name()));
    }
  }

  /** For jqwik. */
  final class Hook implements SkipExecutionHook {
    @Override
    public SkipResult shouldBeSkipped(LifecycleContext context) {
      return TestDevice.problem(context.optionalElement())
          .map(SkipResult::skip)
          .orElseGet(SkipResult::doNotSkip);
    }

    @Override
    public PropagationMode propagateTo() {
      return PropagationMode.ALL_DESCENDANTS;
    }
  }
}
