"""How much memory is free, as far as the system says."""

import torch


def available_bytes(device: torch.device) -> int | None:
    """Bytes that can still be had on a device; None where nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    if device.type != "cpu":
        return None
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            rows = (line.split() for line in file)
            return next((1024 * int(row[1]) for row in rows if row[0] == "MemAvailable:"), None)
    except OSError:  # not Linux
        return None
