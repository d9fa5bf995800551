"""Deployments as curate.yaml asks for them, and the files for Prefect, Docker and Kubernetes beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.config.project import Config, change_sections, load_config
from curate.core.errors import CurateError
from curate.deploy.deployments import plan_deployments
from curate.deploy.section_changes import JudgeChanges, list_changes

FLOWS = Path(__file__).parents[2] / "flows"
MakeProject = Callable[..., Config]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    def make(text: str = "", *, certificate: bool = False) -> Config:
        folder = tmp_path / "My Project"
        folder.mkdir(exist_ok=True)
        (folder / "curate.yaml").write_text(text, encoding="utf-8")
        (folder / "certificate.json").unlink(missing_ok=True)
        if certificate:
            (folder / "certificate.json").touch()
        return load_config(folder / "curate.yaml")

    return make


def list_schedules(config: Config) -> dict[str, str | None]:
    return {deployment.full_name: deployment.schedule for deployment in plan_deployments(config).deployments}


def test_a_project_gets_what_its_file_and_its_certificate_call_for(make_project: MakeProject) -> None:
    assert list_schedules(make_project()) == {
        "curation/my-project": None, "curation/my-project-nightly": "0 2 * * *"
    }  # fmt: skip
    whole = make_project("verify: {overlap: 1}\ntrain: {embedder: x, judge: reward}\n", certificate=True)
    assert list_schedules(whole) == {
        "curation/my-project": None,
        "curation/my-project-nightly": "0 2 * * *",
        "verify-pull/my-project-hourly": "7 * * * *",
        "verification/my-project": None,
        "certify-check/my-project-weekly": "0 6 * * 1",
    }
    assert plan_deployments(whole).omitted == ()
    none = make_project("deploy: {name: other, schedules: {nightly: null}}")
    assert list_schedules(none) == {"curation/other": None}
    assert len(plan_deployments(none).omitted) == 2


def test_a_container_has_the_project_where_it_is_mounted(make_project: MakeProject) -> None:
    config = make_project(
        "deploy: {type: docker, image: 'curate:1', job_variables: {networks: [curate_default]}}"
    )
    deployment = plan_deployments(config).deployments[0]
    assert deployment.parameters == {"config": "/project/curate.yaml"}
    assert deployment.entrypoint == "curate.flows.curation.curation"
    assert deployment.job_variables == {
        "image": "curate:1",
        "volumes": [f"{config.resolve('.')}:/project"],
        "networks": ["curate_default"],
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{type: docker}", "needs an `image`"),
        ("{schedules: {nightly: at two}}", "five fields of cron"),
        ("{schedules: {nightly: every 0s}}", "a second or more"),
        ("{timezone: Mars}", "no such time zone"),
        ("{name: Mine}", "small letters"),
        ("{notify: slack}", "type/name"),
        ("{limits: {m: 0}}", "1 or more"),
        ("{retrys: 2}", "did you mean `retries`"),
    ],
)
def test_mistakes_in_the_section_are_one_sentence(
    make_project: MakeProject, section: str, message: str
) -> None:
    with pytest.raises(CurateError, match=message.replace("?", r"\?")):
        make_project(f"deploy: {section}")


def test_schedules_change_no_result(make_project: MakeProject) -> None:
    assert make_project().digest == make_project("deploy: {schedules: {nightly: null}}").digest


def test_a_run_changes_the_options_it_names_and_no_others(make_project: MakeProject) -> None:
    config = make_project("judge: {chunk: 5, judges: [{name: long, kind: rule, rule: length}]}")
    changes = list_changes(JudgeChanges.model_validate({"max_cost": 2.5, "chunk": None, "judges": None}))
    changed = change_sections(config, {"judge": changes})
    assert (changed.judge.chunk, changed.judge.max_cost) == (5, 2.5)
    assert changed.judge.judges == config.judge.judges
    assert changed.resolve("x") == config.resolve("x")
    with pytest.raises(CurateError, match=r"judge\.chunk"):
        change_sections(config, {"judge": {"chunk": 0}})
    with pytest.raises(CurateError, match="no section `train`"):
        change_sections(config, {"train": {"epochs": 1}})


def test_prefect_yaml_says_what_curate_deploy_does(make_project: MakeProject) -> None:
    config = make_project("deploy: {name: project}\nverify: {overlap: 1}", certificate=True)
    planned = {
        deployment.name: (
            deployment.description,
            f"flows/{deployment.file}.py:{deployment.function}",
            list(deployment.tags),
            deployment.schedule,
        )
        for deployment in plan_deployments(config).deployments
    }
    document = yaml.safe_load((FLOWS / "prefect.yaml").read_text(encoding="utf-8"))
    written = {
        entry["name"]: (
            entry["description"],
            entry["entrypoint"],
            entry["tags"],
            entry["schedules"][0]["cron"] if entry["schedules"] else None,
        )
        for entry in document["deployments"]
    }
    assert written == planned
    for entry in document["deployments"]:
        path, _, function = entry["entrypoint"].partition(":")
        assert f"def {function}(" in (FLOWS.parent / path).read_text(encoding="utf-8")


def test_what_compose_starts_is_reached_from_this_machine_only() -> None:
    document = yaml.safe_load((FLOWS / "docker-compose.yaml").read_text(encoding="utf-8"))
    ports = [port for service in document["services"].values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_docker_takes_the_compose_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], check=False).returncode
    ):
        pytest.skip("this machine has no `docker compose`")
    names = ("CURATE_PROJECT", "POSTGRES_PASSWORD", "LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_TOKEN")
    command = ["docker", "compose", "-f", str(FLOWS / "docker-compose.yaml"), "config", "--quiet"]
    done = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", **dict.fromkeys(names, "/x")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def fill_template(values: dict[str, Any]) -> dict[str, Any]:
    """Fill the job template as a Kubernetes worker does: defaults first, then the deployment's variables."""
    from prefect.utilities.templating import apply_values

    template = json.loads((FLOWS / "kubernetes-job-template.json").read_text(encoding="utf-8"))
    defaults = {
        name: entry["default"]
        for name, entry in template["variables"]["properties"].items()
        if "default" in entry
    }
    filled: dict[str, Any] = apply_values(template["job_configuration"], defaults | values)
    return filled


def test_the_job_of_kubernetes_mounts_the_project_and_is_no_root() -> None:
    manifest = fill_template(
        {"image": "curate:1", "name": "run", "command": ["prefect", "flow-run", "execute"]}
    )["job_manifest"]
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "curate:1"
    assert container["volumeMounts"] == [{"name": "project", "mountPath": "/project"}]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "{{" not in json.dumps(manifest)


def test_the_job_of_kubernetes_is_of_the_published_schema() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    values = {
        "image": "curate:1",
        "name": "run",
        "command": ["x"],
        "env": [{"name": "A", "value": "b"}],
        "labels": {"a": "b"},
    }
    validator.validate(fill_template(values)["job_manifest"], "1.31", strict=True)
    with pytest.raises(validator.ValidationError):
        validator.validate(fill_template(values | {"finished_job_ttl": "never"})["job_manifest"], "1.31")
