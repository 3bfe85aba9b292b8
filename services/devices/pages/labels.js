// The small labels of a device: what it is, its tags, and whether it is switched off.
export function labels(device) {
  const texts = [[device.type], ...(device.tags ?? []).map(({ key, value }) => [`${key}: ${value}`])];
  if (device.active === false) texts.unshift(["switched off", "off"]);
  return texts.filter(([text]) => text).map(([text, kind]) => {
    const label = document.createElement("span");
    label.className = kind ? `label ${kind}` : "label";
    label.textContent = text;
    return label;
  });
}
