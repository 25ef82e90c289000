package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.bsq4j.Device;
import io.github.bsq4j.NativeRuntime;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the command runs on, also where loading failed. */
@Command(
    name = "info",
    header =
        "Show LibTorch, the devices and what computes there, threads, Java; or what is missing.",
    description = "Also works where LibTorch could not be loaded, and says why.",
    customSynopsis = "bsq info [OPTIONS]")
final class InfoCommand implements Callable<Integer> {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "Show this device alone, and why it cannot be used if so: cpu, cuda or cuda:N (default:"
              + " all that can be used).")
  private String deviceName;

  @Mixin private Output out;

  @Override
  public Integer call() {
    Device device = deviceName == null ? null : DeviceFlag.named(deviceName);
    out.text().print(device == null ? NativeRuntime.diagnose() : NativeRuntime.diagnose(device));
    out.text().flush();

    NativeRuntime.Info info = NativeRuntime.info();
    JsonObject json = new JsonObject();
    json.addProperty("available", info.available());
    json.addProperty("libtorch", info.libtorch().map(Object::toString).orElse(null));
    json.addProperty("libtorch_source", info.libtorchSource().orElse(null));
    json.addProperty("torch_version", info.torchVersion().orElse(null));
    json.addProperty("library", info.library().map(Object::toString).orElse(null));
    JsonArray devices = new JsonArray();
    for (NativeRuntime.DeviceInfo usable : info.devices()) {
      if (device == null || device.equals(usable.device())) {
        devices.add(json(usable));
      }
    }
    json.add("devices", devices);
    if (device != null) {
      json.addProperty("problem", device.problem().orElse(null));
    }
    json.addProperty("threads", info.threads().isPresent() ? info.threads().getAsInt() : null);
    json.addProperty("java", info.java());
    json.addProperty("native_access", info.nativeAccess());
    json.addProperty("failure", info.failure().map(Throwable::getMessage).orElse(null));
    out.json(json);
    return 0;
  }

  private static JsonObject json(NativeRuntime.DeviceInfo info) {
    JsonObject json = new JsonObject();
    json.addProperty("device", info.device().toString());
    json.addProperty("implementation", info.implementation());
    json.addProperty("name", info.name());
    json.addProperty("total_memory", number(info.totalMemory()));
    json.addProperty("free_memory", number(info.freeMemory()));
    json.addProperty("compute_capability", info.computeCapability().orElse(null));
    return json;
  }

  private static Long number(OptionalLong bytes) {
    return bytes.isPresent() ? bytes.getAsLong() : null;
  }
}
