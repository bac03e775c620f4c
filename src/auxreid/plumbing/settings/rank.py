"""How a row ranks another row's encoder (`rank` of its block): by descriptors of places beside the global feature."""

from typing import Literal

from pydantic import model_validator

from auxreid.plumbing.settings.auxiliary import Map
from auxreid.plumbing.settings.section import PositiveFloat, PositiveInt, Section

JOINT_POOLS = ("joints", "mean_joints", "other_joints")
Pools = Literal["joints", "mean_joints", "stripes", "global", "other_joints"]
CAMERAS = ("cameras", "other_cameras")


class EvidenceConfig(Section):
    """Attributes, as a model predicts them of each image, beside what the encoder says."""

    share: PositiveFloat  # of the global part's weight, both parts scaled by their spread
    shuffled: bool  # the control: each image with the attributes of another


class RankConfig(Section):
    """Local descriptors: means of the encoder's maps over pools of cells, whitened on the training images."""

    pools: Pools  # mean_joints, other_joints: controls, where joints are on average, and those of another image
    maps: tuple[Map, ...]  # that are pooled, as clip/maps.py names them; none: the global feature alone
    count: PositiveInt | None = None  # of stripes, or of global pools
    sigma: PositiveFloat | None = None  # of the Gaussian at a joint, as a share of the input's height
    doubt: PositiveFloat | None = None  # confidence with which a joint keeps half its way from where it usually is
    # Where features are measured from: the mean of the training images, or of the images of a camera that are ranked
    # together; other_cameras: a control, each image with the camera of another. null: from 0.
    centre: Literal["mean", "cameras", "other_cameras"] | None = None
    whiten_global: bool  # the global feature too
    mirror: bool  # whether every part is the mean over an image and its mirror image, at twice the time
    evidence: EvidenceConfig | None = None  # null: no attributes

    @property
    def fits_joints(self) -> bool:
        """Whether the joints of the training images are needed."""
        return bool(self.maps) and self.pools in JOINT_POOLS

    @property
    def ranks_joints(self) -> bool:
        """Whether the joints of the images that are ranked are needed too."""
        return self.fits_joints and self.pools != "mean_joints"

    @property
    def ranks_cameras(self) -> bool:
        """Whether the camera of each image must be known."""
        return self.centre in CAMERAS

    @model_validator(mode="after")
    def _maps_stand_there_once(self) -> "RankConfig":
        if len(set(self.maps)) < len(self.maps):
            raise ValueError(f"maps {', '.join(self.maps)}: a map stands there twice")
        return self

    @model_validator(mode="after")
    def _keys_fit_the_pools(self) -> "RankConfig":
        if not self.maps:
            return self._of_the_global_feature()
        wanted = {"sigma": self.pools in JOINT_POOLS, "count": self.pools not in JOINT_POOLS}
        for key, goes in wanted.items():
            if goes != (getattr(self, key) is not None):
                named = "stripes and global" if key == "count" else ", ".join(JOINT_POOLS)
                raise ValueError(f"{key} goes with pools {named}, and only with them; pools is {self.pools}")
        if self.doubt is not None and not self.ranks_joints:
            raise ValueError(f"doubt goes with pools joints, other_joints; pools is {self.pools}")
        return self

    def _of_the_global_feature(self) -> "RankConfig":
        local = self.count, self.sigma, self.doubt
        if self.pools != "global" or any(value is not None for value in local):
            raise ValueError("without maps there are no local pools: pools must be global; count, sigma, doubt null")
        if not (self.whiten_global or self.mirror or self.evidence is not None or self.centre is not None):
            keys = "maps, centre, evidence, whiten_global and mirror"
            raise ValueError(f"without any of {keys} it ranks as the encoder's own row")
        return self
