"""Every fault that a tool answers by itself, under load: nothing acknowledged is lost, and service is back soon after."""

import time

from network import wait_for

# Until a tool has given up a standby that does not answer, with the settings of deploy/failover.
NOTICED = 12


def again(site, change):
    """The change, and waiting until the tool has a primary with two standbys again."""
    change()
    wait_for("a whole cluster", site.cluster.is_whole, 120)


def test_primary_killed_and_back(site):
    for _ in range(site.rounds):
        site.steady()
        primary, standbys = site.cluster.primary(), site.cluster.standbys()
        site.fault("primary killed (-9)", primary.kill, promotes=standbys)
        site.fault("killed primary back", lambda: again(site, lambda: site.cluster.begin(primary)))
    site.check("primary killed")


def test_primary_frozen_and_back(site):
    for _ in range(site.rounds):
        site.steady()
        primary, standbys = site.cluster.primary(), site.cluster.standbys()
        site.fault("primary frozen (SIGSTOP)", primary.freeze, promotes=standbys)
        site.fault("frozen primary back", lambda: again(site, primary.thaw))
    site.check("primary frozen")


def test_primary_cut_off_and_back(site):
    for _ in range(site.rounds):
        site.steady()
        primary, standbys = site.cluster.primary(), site.cluster.standbys()
        site.fault("primary cut off", primary.cut, promotes=standbys)
        site.fault("cut-off primary back", lambda: again(site, primary.join))
    site.check("primary cut off")


def test_standby_killed_and_back(site):
    for _ in range(site.rounds):
        site.steady()
        standby = site.cluster.synchronous()
        site.fault("standby killed (-9)", standby.kill, lasts=3)
        site.fault("killed standby back", lambda: again(site, lambda: site.cluster.begin(standby)))
    site.check("standby killed")


def test_standby_frozen_and_back(site):
    for _ in range(site.rounds):
        site.steady()
        standby = site.cluster.synchronous()
        site.fault("standby frozen (SIGSTOP)", standby.freeze, lasts=NOTICED)
        site.fault("frozen standby back", lambda: again(site, standby.thaw))
    site.check("standby frozen")


def test_instance_killed_and_back(site):
    for number in range(site.rounds):
        site.steady()
        instance = site.instances[number % 3]
        site.fault("instance killed (-9)", lambda: (instance.process.kill(), instance.process.wait()), lasts=2)
        site.fault("killed instance back", instance.start)
    site.check("instance killed")


def test_leader_of_etcd_killed_and_back(site):
    if site.cluster.name != "Patroni":
        return
    for _ in range(site.rounds):
        site.steady()
        leader = site.cluster.etcd_leader()
        site.fault("etcd's leader killed (-9)", leader.kill, lasts=5)
        site.fault("killed etcd back", lambda: (site.cluster.begin_etcd(leader), time.sleep(3)))
    site.check("etcd's leader killed")
