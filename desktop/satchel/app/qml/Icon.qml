import QtQuick
import QtQuick.Shapes

// A line icon on a 24 x 24 grid, in any colour.
Item {
    id: icon
    required property string path
    property color color: Tokens.text
    property real stroke: 2
    implicitWidth: 24
    implicitHeight: 24
    Accessible.ignored: true

    Shape {
        width: 24
        height: 24
        anchors.centerIn: parent
        scale: icon.width / 24
        preferredRendererType: Shape.CurveRenderer
        ShapePath {
            strokeColor: icon.color
            strokeWidth: icon.stroke
            fillColor: "transparent"
            capStyle: ShapePath.RoundCap
            joinStyle: ShapePath.RoundJoin
            PathSvg { path: icon.path }
        }
    }
}
