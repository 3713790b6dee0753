"""Figures of interfaces, read off the kernel's table."""

from corten.engine.containers.stats import parse_net_dev

TABLE = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       5       6    0    0    0     0          0         0        5       6    0    0    0     0       0          0
  eth0:  123456     789    1    2    0     0          0         0     4321      56    3    4    0     0       0          0
"""


def test_interfaces() -> None:
    assert parse_net_dev(TABLE) == {
        "eth0": {
            "rx_bytes": 123456,
            "rx_packets": 789,
            "rx_errors": 1,
            "rx_dropped": 2,
            "tx_bytes": 4321,
            "tx_packets": 56,
            "tx_errors": 3,
            "tx_dropped": 4,
        }
    }
