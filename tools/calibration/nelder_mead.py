"""Nelder and Mead's simplex search, from a fixed start and with a fixed number of steps, so that a fit can be made again. Knows no model."""


def nelder_mead(f, start, steps, spread=0.3, outside=True):
    """The best point found. spread: how far the corners of the first simplex lie from `start`, along each coordinate.
    outside: may the simplex contract beyond its centre, too, or towards its worst corner only?"""
    n = len(start)
    points = [list(start)] + [[v + (spread if i == j else 0) for j, v in enumerate(start)] for i in range(n)]
    values = [f(v) for v in points]
    for _ in range(steps):
        order = sorted(range(n + 1), key=values.__getitem__)
        points, values = [points[i] for i in order], [values[i] for i in order]
        centre = [sum(v[j] for v in points[:-1]) / n for j in range(n)]

        def along(t):
            v = [c + t * (w - c) for c, w in zip(centre, points[-1])]
            return v, f(v)

        v, fv = along(-1)
        if fv < values[0]:
            w, fw = along(-2)
            points[-1], values[-1] = (w, fw) if fw < fv else (v, fv)
        elif fv < values[-2]:
            points[-1], values[-1] = v, fv
        else:
            w, fw = along(-0.5 if outside and fv < values[-1] else 0.5)
            if fw < (min(fv, values[-1]) if outside else values[-1]):
                points[-1], values[-1] = w, fw
            else:
                for i in range(1, n + 1):
                    points[i] = [(a + b) / 2 for a, b in zip(points[i], points[0])]
                    values[i] = f(points[i])
    return points[min(range(n + 1), key=values.__getitem__)]
