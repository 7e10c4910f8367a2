from playwright.sync_api import Page


def test_the_page_opens(base: str, page: Page) -> None:
    """The first page is there, with its heading."""
    page.goto(base)
    assert page.get_by_role("heading", level=1).inner_text() == "Today"
