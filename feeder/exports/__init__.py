"""Visits, written as others read them: a module a format, on one step that says what may be claimed.

claims         which visits may be claimed, and as what; pure
places         where cameras are, as exactly as may be told
cells          text that a spreadsheet takes for text
whole          files and folders that are written completely or not at all
tables         CSV and Parquet
ebird, darwin_core, camtrap_dp, inaturalist, datasette    a standard each
"""
