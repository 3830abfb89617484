"""`hardpp sequences`: glimpse sequences in the form of their inventors, taken in and given out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import PATH, choice_option

if TYPE_CHECKING:
    from hardpp.data.images.labelled import ImagePart

PARTS = ("train", "dev", "test")


@click.group()
def sequences() -> None:
    """Take in or give out glimpse sequences in the form of Harvey et al.: a text file an image.

    \b
    FOLDER/17.txt    row, col    of the top left pixel of a patch, a line a glimpse

    The number is the image's place among the images of its part, from 0. `hardpp design` makes sequences.
    """


def _data_options(command: Any) -> Any:
    for option in (
        click.option("--attribute", help="Of faces with attributes: which is the label."),
        click.option("--side", type=click.IntRange(8), help="Pixels a side at which pictures are read."),
        click.option("--data", required=True, help="Of which images: a name or folder."),
    ):
        command = option(command)
    return command


@sequences.command("import")
@click.argument("folder", type=PATH)
@_data_options
@choice_option("--part", words=PARTS, help="Which of the images.")
@click.option("--patch", type=click.IntRange(1), required=True, help="Pixels a side of a patch.")
@click.option("--cells", type=click.IntRange(1), required=True, help="Places of a patch along a side.")
@click.option("--last", type=click.IntRange(0), help="First pixel of the last patch [the border].")
@click.option("--glimpses", type=click.IntRange(1), help="Of every image [as many as the first file has].")
@click.option("--out", type=PATH, required=True, help="File of sequences.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def take_in(
    folder: Path,
    data: str,
    side: int | None,
    attribute: str | None,
    part: str,
    out: Path,
    force: bool,
    last: int | None,
    glimpses: int | None,
    **sizes: int,
) -> None:
    """Write the sequences of a folder as one file, which names the images that they are of.

    \b
    hardpp sequences import Male/ --data celeba-hq/ --side 224 --attribute Male \\
        --patch 16 --cells 50 --last 207 --out male.txt
    hardpp sequences import birds/ --data cub/ --side 128 --part dev --patch 32 --cells 13 --out birds.txt
    """
    from hardpp.data.digests import sha256_of_json
    from hardpp.data.images.glimpse_sequence_files import write
    from hardpp.data.images.glimpse_sequence_folders import glimpses_in, import_folder
    from hardpp.data.images.glimpse_sequence_header import SequenceHeader
    from hardpp.data.images.glimpse_sequences import image_names

    images = _images(data, side, attribute, part)
    size, count = images.size[-1], glimpses or glimpses_in(folder)
    try:
        header = SequenceHeader(
            size=size,
            last=size - sizes["patch"] if last is None else last,
            glimpses=count,
            fewest=count,
            data=data,
            part=part,
            fingerprint=images.fingerprint(),
            configuration=sha256_of_json("imported")[:16],
            **sizes,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    write(out, import_folder(folder, header, image_names(images, part)), force=force)
    click.echo(out)


@sequences.command("export")
@click.argument("file", type=PATH)
@_data_options
@click.option("--out", type=PATH, required=True, help="Folder, which must not be there yet.")
def give_out(file: Path, data: str, side: int | None, attribute: str | None, out: Path) -> None:
    """Write the sequences of a file as a folder with a text file an image."""
    from hardpp.data.images.glimpse_sequence_folders import export_folder
    from hardpp.data.images.glimpse_sequences import check_fits, image_names, read

    recorded = read(file)
    part = recorded.header.part
    images = _images(data, side, attribute, part)
    check_fits(recorded, images, part, images.size[-1])
    export_folder(recorded, out, image_names(images, part))
    click.echo(out)


# All images of a part as sequences are made for them.
def _images(data: str, side: int | None, attribute: str | None, part: str) -> "ImagePart":
    from hardpp.data.images import corpora
    from hardpp.data.images.recorded_glimpses import designed_for

    options = corpora.ImageOptions(side=side)
    options = options if attribute is None else options._replace(attribute=attribute)
    images = corpora.corpus(data, options, report)
    return designed_for(getattr(images, part))
