"""Settings: where they come from, what is refused and how, what is never printed."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from streams.settings import ENVIRONMENT, Settings, SettingsError, load
from streams.settings_source import duration_text, milliseconds, reference


def faults(environment: dict[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environment, file=file)
    return caught.value.faults


def test_defaults_are_valid_and_every_setting_has_a_meaning() -> None:
    assert load({}) == Settings()
    assert all(meaning.endswith(".") or "docs/" in meaning for *_, meaning in reference(Settings, ENVIRONMENT))


def test_options_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('app = "file"\nprefix = "file"\n[kafka]\nbootstrap = "file:1"\n[batch]\nlinger = "7ms"\n')
    found = load(
        {"JOURNEY_SETTINGS": str(file), "JOURNEY_APP": "env", "JOURNEY_KAFKA_BOOTSTRAP": "env:1"},
        options={"kafka.bootstrap": "option:1", "prefix": None},
    )
    assert (found.app, found.prefix, found.kafka.bootstrap, found.batch.linger_ms) == ("env", "file", "option:1", 7)


def test_yaml_file_gives_the_same_as_toml(tmp_path: Path) -> None:
    toml, yaml = tmp_path / "a.toml", tmp_path / "a.yaml"
    toml.write_text('idle_after = "3s"\n[dead_letters]\nallow_json = true\nlimit = 0.25\n')
    yaml.write_text("idle_after: 3s\ndead_letters:\n  allow_json: true\n  limit: 0.25\n")
    assert load({}, file=toml) == load({}, file=yaml)
    assert load({}, file=yaml).dead_letters.allow_json


def test_all_faults_come_at_once_with_what_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kafka:\n  bootstrp: x\n")
    found = faults(
        {
            "JOURNEY_IDLE_AFTER": "2",
            "JOURNEY_HTTP_PORT": "99999",
            "JOURNEY_DEAD_LETTERS_ALLOW_JSON": "maybe",
            "JOURNEY_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "JOURNEY_GROUP_HEARTBEAT": "9s",
            "JOURNEY_NO_SUCH": "1",
        },
        file,
    )
    text = "\n".join(found)
    assert "kafka.bootstrp is no setting; did you mean kafka.bootstrap?" in text
    assert "JOURNEY_IDLE_AFTER: '2' is not accepted; expected a duration such as 500ms" in text
    assert "JOURNEY_HTTP_PORT: '99999'" in text
    assert "expected true or false" in text
    assert "set JOURNEY_KAFKA_SASL_USERNAME and JOURNEY_KAFKA_SASL_PASSWORD" in text
    assert "at most a third" in text
    assert "JOURNEY_NO_SUCH is no setting" in text
    assert len(found) == 7


@pytest.mark.parametrize("name", ["a.toml", "a.yaml", "a.ini"])
def test_a_broken_file_is_one_fault(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("[[[ :")
    assert len(faults({}, file)) == 1


def test_a_missing_file_is_a_fault() -> None:
    assert "cannot be read" in faults({"JOURNEY_SETTINGS": "/nowhere/at/all.toml"})[0]


def test_variables_of_the_test_suite_are_no_settings() -> None:
    assert load({"JOURNEY_TEST_KAFKA": "x"}) == Settings()


def test_secrets_are_hidden_wherever_they_could_be_printed(tmp_path: Path) -> None:
    mounted = tmp_path / "password"
    mounted.write_text("hunter2\n")
    settings = load(
        {
            "JOURNEY_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "JOURNEY_KAFKA_SASL_USERNAME": "u",
            "JOURNEY_KAFKA_SASL_PASSWORD_FILE": str(mounted),
            "JOURNEY_REGISTRY_PASSWORD": "hunter2",
            "JOURNEY_REGISTRY_URL": "http://u:hunter2@registry:8081,https://hunter2@other",
        }
    )
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.reveal() == "hunter2"
    assert "hunter2" not in str(settings.printed())
    assert "hunter2" not in repr(settings).replace(repr(settings.registry.url), "")
    assert settings.printed()["JOURNEY_REGISTRY_URL"] == "http://(hidden)@registry:8081,https://(hidden)@other"
    with pytest.raises(SettingsError) as refused:
        load({"JOURNEY_REGISTRY_URL": "ftp://u:hunter2@registry", "JOURNEY_LEARNER_KEY": "hunter2"})
    assert "hunter2" not in str(refused.value)
    assert settings.printed()["JOURNEY_KAFKA_SASL_PASSWORD"] == "(hidden)"


def test_sasl_and_tls_reach_every_kind_of_client() -> None:
    ca = Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    if not ca.is_file():
        pytest.skip("this machine has no certificate file to try with")
    kafka = load(
        {
            "JOURNEY_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "JOURNEY_KAFKA_SASL_USERNAME": "u",
            "JOURNEY_KAFKA_SASL_PASSWORD": "p",
            "JOURNEY_KAFKA_SSL_CA": str(ca),
            "JOURNEY_KAFKA_SSL_CHECK_HOSTNAME": "no",
        }
    ).kafka
    rd = kafka.librdkafka(linger_ms=5)
    assert rd["security.protocol"] == "SASL_SSL"
    assert (rd["sasl.mechanism"], rd["sasl.username"], rd["sasl.password"]) == ("SCRAM-SHA-512", "u", "p")
    assert rd["ssl.ca.location"] == str(ca)
    assert rd["ssl.endpoint.identification.algorithm"] == "none"
    assert rd["linger.ms"] == 5
    aio = kafka.aiokafka()
    assert (aio["security_protocol"], aio["sasl_plain_password"]) == ("SASL_SSL", "p")
    assert aio["ssl_context"].check_hostname is False
    credentials = kafka.faust_credentials()
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"


def test_plain_clients_say_nothing_of_security() -> None:
    kafka = Settings().kafka
    assert kafka.librdkafka() == {"bootstrap.servers": "127.0.0.1:9092", "client.id": "journey"}
    assert kafka.faust_credentials() is None
    assert kafka.ssl_context() is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [("0ms", 0), ("500ms", 500), ("2s", 2_000), ("1m30s", 90_000), ("1 h", 3_600_000), ("2d", 172_800_000)],
)
def test_durations(text: str, ms: int) -> None:
    assert milliseconds(text) == ms
    assert milliseconds(duration_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1.5s", "1s x"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        milliseconds(text)
