"""What a source or an image object is itself made from."""

import pytest

from daemon.flux.decode import decode_object

SOURCE = "source.toolkit.fluxcd.io/v1"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2"
VALUES = {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "v"}]}}


def raw(kind: str, api: str, spec: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", "namespace": "apps"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("ImagePolicy", {"imageRepositoryRef": {"name": "app"}}, "ImageRepository/apps/app"),
        ("ImagePolicy", {"imageRepositoryRef": {"name": "app", "namespace": "x"}}, "ImageRepository/x/app"),
        (
            "ImageUpdateAutomation",
            {"sourceRef": {"kind": "GitRepository", "name": "repo"}},
            "GitRepository/apps/repo",
        ),
        ("ImageRepository", {"image": "registry.example.com/app"}, "None"),
    ],
)
def test_an_image_object_is_made_from_what_it_reads(kind, spec, expected):
    state = decode_object(raw(kind, "image.toolkit.fluxcd.io/v1", spec=spec), "c")
    assert str(state.source) == expected


@pytest.mark.parametrize(
    ("kind", "version", "spec", "expected"),
    [
        (
            "GitRepository",
            SOURCE,
            {"include": [{"repository": {"name": "shared"}}, {"toPath": "x"}]},
            ["GitRepository/apps/shared"],
        ),
        (
            "ArtifactGenerator",
            "source.extensions.fluxcd.io/v1beta1",
            {"sources": [{"alias": "a", "kind": "OCIRepository", "name": "o", "namespace": "x"}, {"alias": "b"}]},
            ["OCIRepository/x/o"],
        ),
        (
            "ExternalArtifact",
            SOURCE,
            {
                "sourceRef": {
                    "apiVersion": "source.extensions.fluxcd.io/v1beta1",
                    "kind": "ArtifactGenerator",
                    "name": "g",
                }
            },
            ["ArtifactGenerator/apps/g"],
        ),
        ("ExternalArtifact", SOURCE, {}, []),
    ],
)
def test_what_a_source_is_put_together_of_is_read(kind, version, spec, expected):
    state = decode_object(raw(kind, version, spec=spec), "c")
    assert [str(each) for each in state.inputs] == expected


@pytest.mark.parametrize(
    ("kind", "api", "spec", "expected"),
    [
        (
            "GitRepository",
            SOURCE,
            {"secretRef": {"name": "x"}, "proxySecretRef": {"name": "y"}},
            ["x"],
        ),
        ("Kustomization", KUSTOMIZE, {"decryption": {"secretRef": {"name": "sops"}}}, ["sops"]),
        (
            "Kustomization",
            KUSTOMIZE,
            {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "v"}]}},
            [],
        ),
    ],
)
def test_the_secrets_that_let_an_object_in_are_known_apart(kind, api, spec, expected):
    assert [each.name for each in decode_object(raw(kind, api, spec=spec), "c").credentials] == expected


@pytest.mark.parametrize(
    ("kind", "api", "spec", "expected"),
    [
        ("HelmRelease", HELM, {}, 300.0),
        ("HelmRelease", HELM, {"timeout": "10m"}, 600.0),
        ("HelmRelease", HELM, {"timeout": "10m", "uninstall": {"timeout": "1m"}}, 60.0),
        ("Kustomization", KUSTOMIZE, {"timeout": "4m"}, None),
        (
            "Kustomization",
            KUSTOMIZE,
            {"timeout": "4m", "deletionPolicy": "WaitForTermination"},
            240.0,
        ),
    ],
)
def test_a_deletion_may_take_what_the_spec_gives_it(kind, api, spec, expected):
    assert decode_object(raw(kind, api, spec=spec), "c").leaving == expected
