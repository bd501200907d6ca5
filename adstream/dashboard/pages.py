"""The pages by their titles."""

from adstream.dashboard import ads, pipeline, racks, sales, sensors

PAGES = {
    "Ads": ads.page,
    "Pipeline": pipeline.page,
    "Sensors": sensors.page,
    "Sales": sales.page,
    "Racks": racks.page,
}
