"""The providers of a local market that nobody has configured."""

from __future__ import annotations

from akash_sandbox.market.provider import GpuStock, Provider

AUDITOR = "akash1365yvmc4s7awdyj3n2sav7xfx76adc6dnmlx63"

PROVIDERS = (
    Provider(
        name="frost",
        region="eu-west",
        country="NL",
        city="Amsterdam",
        audited_by=(AUDITOR,),
        attributes={"tier": "community"},
        gpus=(
            GpuStock(model="h100", ram="80Gi", interface="sxm", price_low=1.84, price_high=2.10),
            GpuStock(model="rtx4090", ram="24Gi", price_low=0.44, price_high=0.52),
        ),
        price_low=0.06,
        price_high=0.09,
        uptime_1d=1.0,
        uptime_7d=0.9991,
        uptime_30d=0.998,
    ),
    Provider(
        name="harbor",
        region="eu-central",
        country="DE",
        city="Frankfurt",
        audited_by=(AUDITOR,),
        attributes={"tier": "community"},
        gpus=(
            GpuStock(model="a100", ram="80Gi", interface="sxm", price_low=1.20, price_high=1.35),
            GpuStock(model="h100", ram="80Gi", interface="sxm", price_low=1.95, price_high=2.20),
            GpuStock(model="rtx4090", ram="24Gi", price_low=0.49, price_high=0.55),
        ),
        price_low=0.07,
        price_high=0.10,
        uptime_7d=0.9985,
        uptime_30d=0.996,
    ),
    Provider(
        name="prairie",
        region="us-central",
        country="US",
        city="Dallas",
        audited_by=(AUDITOR,),
        attributes={"tier": "community"},
        gpus=(
            GpuStock(model="h100", ram="80Gi", interface="sxm", price_low=1.70, price_high=1.99),
            GpuStock(model="a100", ram="80Gi", interface="pcie", price_low=1.05, price_high=1.20),
            GpuStock(model="rtx4090", ram="24Gi", price_low=0.39, price_high=0.48),
        ),
        price_low=0.05,
        price_high=0.08,
        uptime_7d=0.997,
        uptime_30d=0.991,
    ),
    Provider(
        name="cascade",
        region="us-west",
        country="US",
        city="Portland",
        attributes={"tier": "community"},
        gpus=(GpuStock(model="rtx4090", ram="24Gi", price_low=0.31, price_high=0.40),),
        price_low=0.04,
        price_high=0.05,
        uptime_1d=0.998,
        uptime_7d=0.985,
        uptime_30d=0.962,
    ),
    Provider(
        name="monsoon",
        region="ap-southeast",
        country="SG",
        city="Singapore",
        gpus=(
            GpuStock(model="h100", ram="80Gi", interface="pcie", price_low=1.60),
            GpuStock(model="rtx3090", ram="24Gi", price_low=0.22, price_high=0.25),
        ),
        price_low=0.03,
        price_high=0.04,
        uptime_1d=0.97,
        uptime_7d=0.94,
        uptime_30d=0.90,
    ),
)
"""Two in Europe, two in America, one in Asia."""
