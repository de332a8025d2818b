"""The styles of our Word documents, laid over python-docx's template."""

from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_TAB_ALIGNMENT
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.shared import Pt, RGBColor
from docx.styles.style import ParagraphStyle

from adapters.documents.ooxml import element, valued

LANGUAGE = "en-IN"
TEXT_WIDTH = 9070
"""Twentieths of a point between the margins: A4 is 11906 wide, each margin 25 mm."""

_INK = RGBColor(0x1F, 0x38, 0x64)
_HEADING_NUMBERING = "90"
_ORDERED_NUMBERING = "91"
_FONT = "Calibri"
_FIXED_FONT = "Consolas"


def prepare_styles(word: Document) -> None:
    """Set language, fonts, numbering and every style that the writer names."""
    _set_language(word)
    _set_numbering(word)
    _set_text_styles(word)
    _set_heading_styles(word)
    _set_contents_styles(word)
    word.styles.element.append(parse_xml(_TABLE_STYLE))


def add_ordered_list(word: Document) -> str:
    """A list that counts from 1 on its own; gives the number to refer to it by."""
    numbering = word.part.numbering_part.element
    taken = [int(num.get(qn("w:numId"))) for num in numbering.iter(qn("w:num"))]
    number = str(max(taken) + 1)
    restart = element("w:lvlOverride", {"w:ilvl": "0"}, valued("w:startOverride", "1"))
    numbering.append(
        element(
            "w:num",
            {"w:numId": number},
            valued("w:abstractNumId", _ORDERED_NUMBERING),
            restart,
        )
    )
    return number


def _set_language(word: Document) -> None:
    for language in word.styles.element.iter(qn("w:lang")):
        language.set(qn("w:val"), LANGUAGE)
        language.set(qn("w:bidi"), "hi-IN")
    for language in word.settings.element.iter(qn("w:themeFontLang")):
        language.set(qn("w:val"), LANGUAGE)
    for setting in word.settings.element.iter(qn("w:compatSetting")):
        # 15 is Word 2013 and later; less opens in compatibility mode.
        if setting.get(qn("w:name")) == "compatibilityMode":
            setting.set(qn("w:val"), "15")


def _set_numbering(word: Document) -> None:
    numbering = word.part.numbering_part.element
    first = numbering.find(qn("w:num"))
    # The schema wants every abstract numbering before the first concrete one.
    first.addprevious(_heading_numbering())
    first.addprevious(parse_xml(_ORDERED_LEVELS))
    numbering.append(
        element(
            "w:num",
            {"w:numId": _HEADING_NUMBERING},
            valued("w:abstractNumId", _HEADING_NUMBERING),
        )
    )


def _heading_numbering() -> BaseOxmlElement:
    levels = [
        element(
            "w:lvl",
            {"w:ilvl": str(level)},
            valued("w:start", "1"),
            valued("w:numFmt", "decimal"),
            valued("w:pStyle", f"Heading{level + 1}"),
            valued("w:suff", "space"),
            valued("w:lvlText", ".".join(f"%{n}" for n in range(1, level + 2))),
            valued("w:lvlJc", "left"),
            element("w:pPr", None, element("w:ind", {"w:left": "0", "w:firstLine": "0"})),
        )
        for level in range(3)
    ]
    return element(
        "w:abstractNum",
        {"w:abstractNumId": _HEADING_NUMBERING},
        valued("w:multiLevelType", "multilevel"),
        *levels,
    )


_ORDERED_LEVELS = f"""
<w:abstractNum {nsdecls("w")} w:abstractNumId="{_ORDERED_NUMBERING}">
  <w:multiLevelType w:val="singleLevel"/>
  <w:lvl w:ilvl="0">
    <w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/><w:lvlJc w:val="left"/>
    <w:pPr><w:ind w:left="425" w:hanging="425"/></w:pPr>
  </w:lvl>
</w:abstractNum>
"""


def _set_text_styles(word: Document) -> None:
    normal = _paragraph_style(word, "Normal")
    normal.font.name = _FONT
    normal.font.size = Pt(10.5)
    normal.paragraph_format.space_after = Pt(6)
    normal.paragraph_format.line_spacing = 1.1
    _spaced(word, "Title", 120, 6).font.size = Pt(30)
    subtitle = _spaced(word, "Subtitle", 0, 24)
    subtitle.font.size = Pt(18)
    subtitle.font.italic = False
    # The template numbers the subtitle at the second level of no list.
    for stray in subtitle.element.findall(f"{qn('w:pPr')}/{qn('w:numPr')}"):
        stray.getparent().remove(stray)
    _spaced(word, "List Bullet", 0, 3)
    _spaced(word, "List Number", 0, 3)
    _spaced(word, "Caption", 9, 3).font.color.rgb = _INK
    for name in ("Header", "Footer"):
        story = _spaced(word, name, 0, 0)
        story.font.size = Pt(9)
        tabs = story.element.get_or_add_pPr()
        for old in tabs.findall(qn("w:tabs")):
            tabs.remove(old)
        story.paragraph_format.tab_stops.add_tab_stop(Pt(TEXT_WIDTH / 20), WD_TAB_ALIGNMENT.RIGHT)
    _added(word, "Cover Fact", 0, 2).font.size = Pt(12)
    definition = _added(word, "Definition", 0, 3)
    definition.paragraph_format.left_indent = Pt(14)
    definition.paragraph_format.first_line_indent = Pt(-14)
    _added(word, "Table Text", 1, 1).font.size = Pt(9)
    _added(word, "Table Gap", 0, 0).font.size = Pt(6)
    label = _added(word, "Label", 6, 2)
    label.font.bold = True
    label.paragraph_format.keep_with_next = True
    notice = _added(word, "Notice", 8, 8)
    _bordered(notice, "left", "1F3864", "18", fill="EEF2F8")
    source = _added(word, "Source Code", 4, 8)
    source.font.name, source.font.size = _FIXED_FONT, Pt(8.5)
    _bordered(source, "left", "A6A6A6", "6", fill="F5F5F5")
    character = word.styles.add_style("Code Character", WD_STYLE_TYPE.CHARACTER)
    character.font.name = _FIXED_FONT
    link = word.styles.add_style("Hyperlink", WD_STYLE_TYPE.CHARACTER, builtin=True)
    link.font.color.rgb = RGBColor(0x05, 0x4F, 0xB9)


def _set_heading_styles(word: Document) -> None:
    for level, size, before, after in ((1, 17, 22, 6), (2, 13, 14, 4), (3, 11, 10, 3)):
        style = _spaced(word, f"Heading {level}", before, after)
        style.font.size = Pt(size)
        style.font.color.rgb = _INK
        _number(style, str(level - 1), _HEADING_NUMBERING)
    # Based on Heading 1, whose number it must not have.
    _number(_spaced(word, "TOC Heading", 18, 6), "0", "0")


def _set_contents_styles(word: Document) -> None:
    for level in (1, 2, 3):
        style = word.styles.add_style(f"toc {level}", WD_STYLE_TYPE.PARAGRAPH, builtin=True)
        style.element.set(qn("w:styleId"), f"TOC{level}")
        _entry(style, 14 * (level - 1))
    tables = word.styles.add_style("table of figures", WD_STYLE_TYPE.PARAGRAPH, builtin=True)
    tables.element.set(qn("w:styleId"), "TableofFigures")
    _entry(tables, 0)


def _entry(style: ParagraphStyle, indent: int) -> None:
    style.base_style = None
    style.element.get_or_add_basedOn().val = "Normal"
    style.paragraph_format.space_after = Pt(2)
    style.paragraph_format.left_indent = Pt(indent)
    style.paragraph_format.tab_stops.add_tab_stop(Pt(TEXT_WIDTH / 20), WD_TAB_ALIGNMENT.RIGHT)


def _paragraph_style(word: Document, name: str) -> ParagraphStyle:
    style = word.styles[name]
    assert isinstance(style, ParagraphStyle)
    return style


def _spaced(word: Document, name: str, before: int, after: int) -> ParagraphStyle:
    style = _paragraph_style(word, name)
    style.paragraph_format.space_before = Pt(before)
    style.paragraph_format.space_after = Pt(after)
    return style


def _added(word: Document, name: str, before: int, after: int) -> ParagraphStyle:
    word.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH).base_style = word.styles["Normal"]
    return _spaced(word, name, before, after)


def _number(style: ParagraphStyle, level: str, numbering: str) -> None:
    properties = style.element.get_or_add_pPr()
    for old in properties.findall(qn("w:numPr")):
        properties.remove(old)
    numbers = properties.get_or_add_numPr()
    numbers.append(valued("w:ilvl", level))
    numbers.append(valued("w:numId", numbering))


def _bordered(style: ParagraphStyle, side: str, color: str, width: str, *, fill: str) -> None:
    properties = style.element.get_or_add_pPr()
    line = {"w:val": "single", "w:sz": width, "w:space": "6", "w:color": color}
    border = element("w:pBdr", None, element(f"w:{side}", line))
    shading = element("w:shd", {"w:val": "clear", "w:color": "auto", "w:fill": fill})
    # The schema's order: borders and shading stand before spacing.
    properties.insert(0, shading)
    properties.insert(0, border)


_TABLE_STYLE = f"""
<w:style {nsdecls("w")} w:type="table" w:customStyle="1" w:styleId="ReportTable">
  <w:name w:val="Report Table"/>
  <w:basedOn w:val="TableNormal"/>
  <w:uiPriority w:val="59"/>
  <w:tblPr>
    <w:tblBorders>
      <w:top w:val="single" w:sz="8" w:space="0" w:color="1F3864"/>
      <w:bottom w:val="single" w:sz="8" w:space="0" w:color="1F3864"/>
      <w:insideH w:val="single" w:sz="4" w:space="0" w:color="BFBFBF"/>
    </w:tblBorders>
    <w:tblCellMar>
      <w:top w:w="40" w:type="dxa"/><w:left w:w="85" w:type="dxa"/>
      <w:bottom w:w="40" w:type="dxa"/><w:right w:w="85" w:type="dxa"/>
    </w:tblCellMar>
  </w:tblPr>
  <w:tblStylePr w:type="firstRow">
    <w:rPr><w:b/><w:bCs/></w:rPr>
    <w:tcPr><w:shd w:val="clear" w:color="auto" w:fill="DCE4F0"/></w:tcPr>
  </w:tblStylePr>
</w:style>
"""
