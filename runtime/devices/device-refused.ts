/** A device that a document asks for cannot be had. The message names the field, or the device, and the reason. */
export class DeviceRefused extends Error {
  override name = 'DeviceRefused';
}
