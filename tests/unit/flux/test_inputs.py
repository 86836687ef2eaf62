"""What a source or an image object is itself made from."""

import pytest

from daemon.flux.decode import decode_object


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
            "source.toolkit.fluxcd.io/v1",
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
            "source.toolkit.fluxcd.io/v1",
            {
                "sourceRef": {
                    "apiVersion": "source.extensions.fluxcd.io/v1beta1",
                    "kind": "ArtifactGenerator",
                    "name": "g",
                }
            },
            ["ArtifactGenerator/apps/g"],
        ),
        ("ExternalArtifact", "source.toolkit.fluxcd.io/v1", {}, []),
    ],
)
def test_what_a_source_is_put_together_of_is_read(kind, version, spec, expected):
    state = decode_object(raw(kind, version, spec=spec), "c")
    assert [str(each) for each in state.inputs] == expected
