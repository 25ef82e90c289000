package io.github.bsq4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.bsq4j.NativeRuntime;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** What the command runs on, also where loading failed. */
@Command(
    name = "info",
    header =
        "Show LibTorch, the devices and what computes there, threads, Java; or what is missing.",
    description = "Also works where LibTorch could not be loaded, and says why.",
    customSynopsis = "bsq info [OPTIONS]")
final class InfoCommand implements Callable<Integer> {
  @Mixin private Output out;

  @Override
  public Integer call() {
    out.text().print(NativeRuntime.diagnose());
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
      JsonObject device = new JsonObject();
      device.addProperty("device", usable.device().toString());
      device.addProperty("implementation", usable.implementation());
      devices.add(device);
    }
    json.add("devices", devices);
    json.addProperty("threads", info.threads().isPresent() ? info.threads().getAsInt() : null);
    json.addProperty("java", info.java());
    json.addProperty("native_access", info.nativeAccess());
    json.addProperty("failure", info.failure().map(Throwable::getMessage).orElse(null));
    out.json(json);
    return 0;
  }
}
