"""Visits, written as others read them: a module a format, on one step that all of them share.

claims      which visits may be claimed, and as what; pure
places      where cameras are, as exactly as may be told
source      what a format's writer is given
cells       text that a spreadsheet takes for text
whole       files and folders that are written completely or not at all
parts       where more goes on in further files
pictures    copies without what a camera wrote in
tables      CSV and Parquet; then ebird, darwin_core, camtrap_dp, inaturalist and datasette
"""
