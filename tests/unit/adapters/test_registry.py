"""Adapters are found by name, loaded when asked for, and one that is broken takes no other with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tradelab.adapters import registry
from tradelab.adapters.registry import GROUP
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError

_GOOD = """
from tradelab.adapters.registry import AdapterSpec, Purpose
from tradelab.model.capabilities import Evidence
from tradelab.model.credentials import CredentialField

def _open(settings, credentials, clock):
    return (settings, credentials, clock)

SPEC = AdapterSpec(
    provider="{name}", title="Acme", evidence=Evidence.UNVERIFIED, purposes=frozenset({{Purpose.DATA}}),
    open=_open, credentials=(CredentialField("token"),),
)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a real package: a module and the metadata that pip would write."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(module: str, source: str, provider: str, target: str = "SPEC") -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{provider} = {module}:{target}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return installed


def test_a_plug_in_of_another_package_is_found_and_opened_with_its_credentials(install):
    install("acme_a", _GOOD.format(name="acme"), "acme")
    assert "acme" in registry.providers()
    settings, credentials, clock = registry.data_provider("acme", {"x": 1}, {"token": "hush"})
    assert settings == {"x": 1}
    assert credentials.reveal("token") == "hush"
    assert clock.now_ns() > 0


def test_listing_names_imports_nothing(install):
    install("acme_b", "raise RuntimeError('imported')", "acme_lazy")
    assert "acme_lazy" in registry.providers()
    assert "acme_b" not in sys.modules


def test_an_unknown_adapter_is_answered_with_the_nearest(install):
    install("acme_c", _GOOD.format(name="acme"), "acme")
    with pytest.raises(UnknownNameError, match="no adapter named 'acne'; did you mean 'acme'"):
        registry.data_provider("acne")


def test_a_plug_in_that_cannot_be_imported_is_named_and_harms_no_other(install):
    install("acme_d", "import no_such_module_anywhere", "acme_broken")
    install("acme_e", _GOOD.format(name="acme"), "acme")
    found = registry.adapters()
    assert "acme" in found.specs
    assert "acme_broken" not in found.specs
    assert "acme_d" in found.broken["acme_broken"]
    assert "no_such_module_anywhere" in found.broken["acme_broken"]
    with pytest.raises(ConfigError, match="cannot be imported"):
        registry.spec("acme_broken")


def test_a_plug_in_that_ends_the_program_on_import_is_named_and_ends_nothing(install):
    install("acme_x", "raise SystemExit('bye')", "acme_quitter")
    assert "SystemExit: bye" in registry.adapters().broken["acme_quitter"]


def test_a_plug_in_that_leads_to_something_else_is_named(install):
    install("acme_f", "SPEC = 5", "acme_odd")
    install("acme_g", _GOOD.format(name="another"), "acme_other")
    assert "is int, not an AdapterSpec" in registry.adapters().broken["acme_odd"]
    assert "is the spec of 'another'" in registry.adapters().broken["acme_other"]


def test_what_an_adapter_does_not_offer_is_refused(install):
    install("acme_h", _GOOD.format(name="acme"), "acme")
    with pytest.raises(ParameterError, match="offers no execution"):
        registry.execution_venue("acme", {}, {"token": "hush"})


def test_a_missing_credential_is_named(install):
    install("acme_i", _GOOD.format(name="acme"), "acme")
    with pytest.raises(ParameterError, match="missing 'token'"):
        registry.data_provider("acme")


def test_of_two_packages_that_claim_a_name_ours_is_taken(install):
    install("acme_j", _GOOD.format(name="paper"), "paper")
    assert registry.spec("paper").title != "Acme"


def test_every_adapter_of_ours_can_be_imported_and_has_a_label():
    found = registry.adapters()
    assert {"files", "http", "paper"} <= set(found.specs)
    assert not found.broken
    for name, spec in found.specs.items():
        assert spec.provider == name
        assert spec.title
        assert spec.purposes
