"""Every fault that a tool answers by itself, under load: nothing acknowledged is lost, and service is back soon after."""

import time

import pytest

from network import Machine, wait_for

# Until a tool has given up a standby that does not answer, with the settings of deploy/failover.
NOTICED = 12

# How a machine is lost, and how it comes back.
LOSSES = {
    "killed (-9)": (Machine.kill, lambda site, machine: site.cluster.begin(machine)),
    "frozen (SIGSTOP)": (Machine.freeze, lambda _, machine: machine.thaw()),
    "cut off": (Machine.cut, lambda _, machine: machine.join()),
}


def lost_and_back(site, what, choose, loss="killed (-9)", promotes=False, lasts=0):
    """Loses the machine that `choose` finds and brings it back, as often as asked for, and looks everything up at the end."""
    lose, bring_back = LOSSES[loss]
    for _ in range(site.rounds):
        site.steady()
        machine, standbys = choose(), site.cluster.standbys()

        def back(machine=machine):
            bring_back(site, machine)
            wait_for("a whole cluster", site.cluster.is_whole, 120)

        site.fault(f"{what} {loss}", lambda machine=machine: lose(machine), promotes=standbys if promotes else (), lasts=lasts)
        site.fault(f"{what} back, was {loss}", back)
    site.check(f"{what} {loss}")


@pytest.mark.parametrize("loss", LOSSES)
def test_primary_is_lost_and_back(site, loss):
    lost_and_back(site, "primary", site.cluster.primary, loss, promotes=True)


@pytest.mark.parametrize("loss", ["killed (-9)", "frozen (SIGSTOP)"])
def test_standby_is_lost_and_back(site, loss):
    lost_and_back(site, "standby", site.cluster.synchronous, loss, lasts=3 if "killed" in loss else NOTICED)


def test_what_decides_is_lost_and_back(site):
    lost_and_back(site, site.cluster.decides, site.cluster.decider, lasts=5)


def test_instance_is_killed_and_back(site):
    for number in range(site.rounds):
        site.steady()
        instance = site.instances[number % 3]
        site.fault("instance killed (-9)", lambda instance=instance: (instance.process.kill(), instance.process.wait()), lasts=2)
        site.fault("instance back, was killed (-9)", instance.start)
    site.check("instance killed")


def test_a_primary_alone_acknowledges_nothing(site):
    for _ in range(site.rounds):
        site.steady()
        standbys = site.cluster.standbys()

        def freeze_both(standbys=standbys):
            for standby in standbys:
                standby.freeze()
            since = time.time()
            time.sleep(2)
            acknowledged = [call for call in list(site.load.calls) if call.writes and call.good and call.began > since]
            for standby in standbys:
                standby.thaw()
            assert not acknowledged, f"{len(acknowledged)} without a standby"

        site.fault("both standbys frozen (2 s)", freeze_both)
    site.check("both standbys frozen")
