"""The contrast of two colors by WCAG 2.2, and colors over each other."""


def channels(color: str) -> list[float]:
    """'#RRGGBB' as red, green, blue, 0 to 1."""
    return [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def over(upper: str, lower: str, opacity: float) -> str:
    """The color that is seen where `upper` lies over `lower`."""
    mixed = [opacity * a + (1 - opacity) * b for a, b in zip(channels(upper), channels(lower), strict=True)]
    return "#" + "".join(f"{round(255 * value):02x}" for value in mixed)


def luminance(color: str) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels(color)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    """1 to 21; text of up to 24 pixels needs 4.5."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
