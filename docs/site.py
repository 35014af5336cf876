"""For the site: a preprocessor of mdBook that turns links to the project's other files into their names, since the site has
no such files, and links to README.md into links to the page that mdBook makes of it; with `check FOLDER`, finds links of the
built site that lead nowhere."""

import json
import os
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

DOCS = os.path.dirname(os.path.abspath(__file__))
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def preprocess(sections):
    """Rewrites each chapter, and those below it."""
    for section in sections:
        chapter = section.get("Chapter") if isinstance(section, dict) else None
        if chapter is None:
            continue
        if chapter.get("path"):
            folder = os.path.dirname(os.path.join(DOCS, chapter["path"]))
            chapter["content"] = LINK.sub(lambda link: rewrite(link, folder), chapter["content"])
        preprocess(chapter["sub_items"])


def rewrite(link, folder):
    """A link as the site has it, or the name of the file that it leads to."""
    text, target = link.groups()
    address = urlsplit(target)
    if address.scheme or not address.path:
        return link[0]
    path = os.path.normpath(os.path.join(folder, unquote(address.path)))
    if path.startswith(DOCS + os.sep) and os.path.isfile(path):
        return f"[{text}]({target.replace('README.md', 'index.md')})"
    name = os.path.relpath(path, os.path.dirname(DOCS))
    is_named = os.path.basename(name) in text or not os.path.exists(path)
    return text if is_named else f"{text} (`{name}`)"


class Page(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.add(attributes["id"])
        self.links += [attributes[name] for name in ("href", "src") if attributes.get(name)]


def check(folder):
    """Prints each link of the pages that leads nowhere, and returns how many there are."""
    files = [os.path.join(path, name) for path, _, names in os.walk(folder) for name in names if name.endswith(".html")]
    pages = {}
    for file in files:
        with open(file, encoding="utf-8") as page:
            pages[file] = Page(page.read())
    broken = 0
    for file, page in pages.items():
        # their links are relative to the site's address
        if os.path.basename(file) in ("404.html", "toc.html"):
            continue
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(file), unquote(address.path))) if address.path else file
            exists = os.path.isfile(target)
            if exists and address.fragment and target in pages:
                exists = unquote(address.fragment) in pages[target].ids
            if not exists:
                print(f"{os.path.relpath(file, folder)}: {link} leads nowhere")
                broken += 1
    print(f"{len(files)} pages, {broken} broken links")
    return broken


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        sys.exit(1 if check(sys.argv[2]) else 0)
    if sys.argv[1:2] == ["supports"]:
        sys.exit(0)
    _, book = json.load(sys.stdin)
    preprocess(book["items"])
    json.dump(book, sys.stdout)
