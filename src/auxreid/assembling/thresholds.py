"""What the proposals are bounded by, each figure with its meaning."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Thresholds:
    """Likeness is counted in spreads: 0 is two photographs of different dogs as they mostly are, 1 is one standard
    deviation of these above. It is measured anew in every set, so that the figures hold for any encoder.
    """

    link: float = 3.25  # two groups become one dog if their pairs of photographs are so alike in the mean,
    weakest: float = 1.0  # and none of these pairs is less alike: one wrong link cannot chain two dogs
    same_sequence: float = 1.0  # added to pairs within one sequence, which mostly show one dog
    nearest: int = 3  # of a reviewed dog's photographs, how many a new one must be like in the mean: dogs have sides,
    seen: float = 0.5  # and by so much more than the link: the nearest of many are alike by chance
    copy: float = 0.99  # correlation of two pictures at 8 x 8 pixels, from which on they may be copies,
    copy_features: float = 0.9  # and cosine of their features, from which on they are
    burst_s: float = 3.0  # seconds between two photographs that are one sequence whatever they show
    sequence_s: float = 60.0  # seconds, below which they are one if they are alike:
    sequence_likeness: float = 2.0  # so much
    neighbour_likeness: float = 5.0  # without a time, neighbours in the order of names are one sequence from here on
    blurred: float = 2.5  # spreads below the set's usual sharpness
    dog: float = 0.3  # a detector's score, below which a photograph is taken to show no dog,
    second_dog: float = 0.5  # and that of a second dog, from which on it shows several
    two_looks: float = 2.5  # a dog whose photographs fall in two parts that are less alike by this may be two dogs

    def about(self) -> dict[str, float]:
        """For a report."""
        return asdict(self)
