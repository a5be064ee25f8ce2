"""A source whose disk has damaged an entry, as its neighbours see it: the frame of the link is whole, the entry in it is not.

Frames of links: `AL`, version (1 byte), type (1), length (4, little-endian), CRC32C of the payload (4), payload. Small
batches travel as they are, so a value can be found in them.
"""

HEADER = 12


def harmed(chunk, value):
    """The chunk with one bit of `value` changed, in a frame that says it is whole; as it came when the value is not there."""
    at = chunk.find(value)
    start = chunk.rfind(b"AL", 0, max(at, 0))
    while at > 0 and start >= 0:
        length = int.from_bytes(chunk[start + 4:start + 8], "little")
        payload = chunk[start + HEADER:start + HEADER + length]
        is_frame = len(payload) == length and start + HEADER <= at < start + HEADER + length
        if is_frame and crc32c(payload) == int.from_bytes(chunk[start + 8:start + HEADER], "little"):
            bad = bytearray(payload)
            bad[at - start - HEADER] ^= 1
            return chunk[:start + 8] + crc32c(bad).to_bytes(4, "little") + bytes(bad) + chunk[start + HEADER + length:]
        start = chunk.rfind(b"AL", 0, start)
    return chunk


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
