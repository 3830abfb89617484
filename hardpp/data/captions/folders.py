"""A user's folder of pictures with captions: Flickr8k, Flickr30k, COCO and others laid out like them.

    captions           one file, or one for each part (captions_train2014.json), in a form of
                       `hardpp.data.captions.caption_files`
    lists of parts     Flickr_8k.{train,dev,test}Images.txt, or train.txt and so on: NAME.jpg, one a line

and the pictures, all of them below one folder, in whatever folders of it. Parts are those of the lists, the
JSON file or of the files' names; what they leave open, `hardpp.data.captions.caption_parts` says. Pictures
that no part names are passed over, and so are captions of pictures that do not exist
(2258277193_586949ec62.jpg.1 of Flickr8k has five); a list that names such a picture is an error.

Pictures differ in size: the shorter side is brought to a number of pixels, and the square in the middle kept.

Sources: Hodosh, Young and Hockenmaier (2013), Framing Image Description as a Ranking Task; Young et al.
(2014) for Flickr30k; Lin et al. (2014) for COCO; Karpathy and Fei-Fei (2015) for the split in JSON files.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hardpp.data.captions.caption_files import read_caption_file
from hardpp.data.captions.caption_json import Listed
from hardpp.data.captions.caption_parts import by_checksum, completed
from hardpp.data.captions.captioned import Caption, CaptionedImages, CaptionedPart, parts_of
from hardpp.data.captions.cut_captions import cut_captions
from hardpp.data.captions.found_captions import caption_files, listed_parts
from hardpp.data.captions.named_pictures import NamedPictures
from hardpp.data.images.picture_files import PictureFiles
from hardpp.data.images.rgb_files import known_pictures
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import ALL, PARTS
from hardpp.errors import DataError

SIDE = 224

_WANTED = "captions are wanted, as in a table image,caption, in COCO's or Karpathy's JSON, or in Flickr8k"


def captioned_images(
    folder: Path | str,
    report: Report = lambda text: None,
    *,
    side: int = SIDE,
    on_bad: OnBad = "stop",
) -> CaptionedImages:
    """Read the captions and find the pictures, which are read when they are asked for.

    Args:
        folder: Laid out as above. Every picture of a part needs one file and a caption.
        report: Told what was read, how captions are cut, and what is passed over or left out.
        side: Pixels a side of a picture once it is read.
        on_bad: "stop" at a line or picture that cannot be used, or "skip" it.
    """
    folder = Path(folder)
    found = _Found(folder, on_bad, report)
    parts = by_checksum(found.present(), report) if found.own is None else completed(found.own, report)
    found.check(parts)
    made = found.made(parts, side)
    return CaptionedImages(folder.resolve().name, *(made[part] for part in PARTS))


def asked_parts(
    folder: Path, report: Report = lambda text: None, *, side: int = SIDE, on_bad: OnBad = "stop"
) -> dict[str, CaptionedPart]:
    """The parts that a folder has itself, for a trained run; `ALL` where it has none.

    The arguments are those of `captioned_images`.
    """
    found = _Found(folder, on_bad, report)
    if found.own is None:
        return found.made({ALL: found.present()}, side)
    parts = completed(found.own, report) if "train" in found.own else found.own
    return found.made(parts, side)


class _Found:
    """What lies in a folder: captions, pictures, and names by part where the data have parts."""

    def __init__(self, folder: Path, on_bad: OnBad, report: Report):
        self.folder, self.on_bad, self.report = folder, on_bad, report
        files = caption_files(folder)
        if not files:
            raise DataError(f"{folder}: there are no captions", _WANTED)
        self.path = next(iter(files))
        listed: list[Listed] = []
        for path, part in files.items():
            of_file = read_caption_file(path, on_bad, report)
            listed += [each if part is None else each._replace(part=part) for each in of_file]
        report(f"captions of {', '.join(path.name for path in files)}")
        self.captions_of = cut_captions(listed, on_bad, report)
        self.own = _by_part(listed) or listed_parts(folder)
        self.pictures = NamedPictures(folder)

    def present(self) -> list[str]:
        """The names of pictures that have captions and a file."""
        present = [name for name in self.captions_of if self.pictures.find(name) is not None]
        if not present and (first := next(iter(self.captions_of), None)) is not None:
            raise DataError(f"{self.path}: no picture that has a caption is there, such as {first}")
        return present

    def check(self, parts: Mapping[str, Sequence[str]]) -> None:
        """Refuse parts without pictures."""
        for part in PARTS:
            if not parts[part]:
                raise DataError(f"{self.path}: no picture is for {part}")

    def made(self, parts: Mapping[str, Sequence[str]], side: int) -> dict[str, CaptionedPart]:
        """Parts of pictures of a side, without those that are left out."""
        files = self._files(parts)
        if unused := len(self.captions_of.keys() - files.keys()):
            self.report(f"passing over {unused} pictures that are missing or in no part")
        known = known_pictures(list(files.values()), on_bad=self.on_bad, report=self.report)
        whole = {name: each.path for name, each in zip(files, known, strict=True) if each is not None}
        left = {part: [name for name in names if name in whole] for part, names in parts.items()}
        if empty := [part for part, names in left.items() if not names]:
            raise DataError(f"{self.folder}: every picture of the {empty[0]} part was left out")
        examples = {
            part: [(name, tuple(Caption(words) for words in self.captions_of[name])) for name in names]
            for part, names in left.items()
        }
        paths = [whole[name] for names in left.values() for name in names]
        return parts_of(PictureFiles(paths, self.folder, side=side), examples)

    # The file of every picture of a part that has captions.
    def _files(self, parts: Mapping[str, Sequence[str]]) -> dict[str, Path]:
        files: dict[str, Path] = {}
        taken: set[Path | None] = set()
        bad: list[str] = []
        for part, name in ((part, name) for part, names in parts.items() for name in names):
            file = self.pictures.find(name)
            if file is None:
                bad.append(f"{self.folder}: picture {name} of the {part} part is missing")
            elif file in taken or name in files:
                raise DataError(f"{self.folder}: picture {name} is in the parts twice")
            elif not self.captions_of.get(name):
                bad.append(f"{self.path}: picture {name} of the {part} part has no caption")
            else:
                files[name] = file
                taken.add(file)
            if bad and self.on_bad == "stop":
                raise DataError(bad[0], "leave such pictures out with --on-bad skip")
        if bad:
            self.report(f"left out {len(bad)} pictures, the first as: {bad[0]}")
        return files


def _by_part(listed: Iterable[Listed]) -> dict[str, list[str]]:
    parts: dict[str, dict[str, None]] = {}
    for each in listed:
        if each.part is not None:
            parts.setdefault(each.part, {})[each.image] = None
    return {part: list(names) for part, names in parts.items()}
